"""`unblur release`: from the exported model to the champion, and the serving of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from unblur.commands.release import main
from unblur.config.tracking import tracking_client
from unblur.errors import GateRefusedError
from unblur.registry.ledger import read_ledger
from unblur.registry.versions import read_aliases

PYFUNC = """
import sys, numpy, mlflow
model = mlflow.pyfunc.load_model("models:/unblur@champion")
numpy.save(sys.argv[2], model.predict({"blur": numpy.load(sys.argv[1])})["restored"])
assert "unblur" not in sys.modules and "torch" not in sys.modules
"""


def test_from_export_to_champion_and_again_for_nothing(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project.export(0.8)
    main.__wrapped__(project.cfg)
    said = capsys.readouterr().out
    for part in ("Registered unblur v1", "Gate: unblur v1", "Promoted unblur v1", "Mean over 6 test pairs"):
        assert part in said
    client = tracking_client()
    aliases = read_aliases(client, "unblur")
    assert aliases == {"candidate": 1, "champion": 1}
    main.__wrapped__(project.cfg)
    assert "nothing changed" in capsys.readouterr().out
    assert read_aliases(client, "unblur") == aliases
    assert len(read_ledger(client, "unblur")) == 1


def test_what_the_gate_refuses_is_not_promoted(project: Any) -> None:
    project.export(0.8)
    project.cfg.gate.min_gain = 9.0
    with pytest.raises(GateRefusedError, match="min_gain"):
        main.__wrapped__(project.cfg)
    assert read_aliases(tracking_client(), "unblur") == {"candidate": 1}


@pytest.mark.pipeline
@pytest.mark.slow
def test_the_champion_is_served_to_processes_that_know_nothing_of_unblur(project: Any) -> None:
    project.export(0.8)
    main.__wrapped__(project.cfg)
    batch = np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    session = onnxruntime.InferenceSession(project.root / "artifacts/export/trained/model.onnx")
    expected = session.run(None, {"blur": batch})[0]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `mlflow models serve` calls uvicorn
    environment = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{project.root / 'mlflow.db'}"}

    np.save(project.root / "in.npy", batch)
    command = [sys.executable, "-c", PYFUNC, "in.npy", "out.npy"]
    subprocess.run(command, check=True, cwd=project.root, env=environment)
    np.testing.assert_array_equal(np.load(project.root / "out.npy"), expected)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/unblur@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with (
        (project.root / "serve.log").open("w") as log,
        subprocess.Popen(
            command, cwd=project.root, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as server,
    ):
        try:
            answer = ask(f"http://127.0.0.1:{port}/invocations", {"inputs": {"blur": batch.tolist()}}, server)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)  # the server and the workers that it has started
    restored = np.array(answer["predictions"]["restored"], np.float32)
    np.testing.assert_allclose(restored, expected, atol=1e-6)


def ask(url: str, content: dict[str, Any], server: "subprocess.Popen[bytes]", seconds: float = 120) -> Any:
    """POST JSON to a server that may still be starting."""
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + seconds
    while True:
        assert server.poll() is None, "the server has ended; see serve.log"
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > deadline:
                raise
            time.sleep(0.3)
