"""Registering, judging, moving and loading with a real MLflow server, and with one that is not there.

`-m services` does the same on a server with PostgreSQL and S3, and on PostgreSQL without a server.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from unblur.config.tracking import ensure_experiment, tracking_client
from unblur.errors import UnblurError
from unblur.registry.gate import run_gate
from unblur.registry.ledger import read_ledger
from unblur.registry.promote import promote
from unblur.registry.register import register
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases
from unblur.runtimes.restorer import load_restorer

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

PROMOTE = """
import sys
from pathlib import Path
from unblur.registry.promote import promote
root = Path(sys.argv[1])
print(promote("unblur", root, root / "artifacts/registry", by=sys.argv[2]).moved)
"""
REGISTER = """
import pickle, sys
from pathlib import Path
from unblur.registry.register import register
done = register(pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
print(done.created, done.version.number)
"""
ROLLBACK = """
import sys
from unblur.errors import UnblurError
from unblur.registry.rollback import rollback
try:
    print(rollback("together", expected=int(sys.argv[1])).after)
except UnblurError as error:
    print(error)
"""
FIRST_USE = "from unblur.config.tracking import tracking_client as c; print(len(c().search_experiments()))"


STORES = ["server", *(pytest.param(name, marks=pytest.mark.services) for name in ("stack", "postgresql"))]


@pytest.fixture(scope="module", params=STORES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mlflow_server: Any
) -> Iterator[str]:
    """The address of an `mlflow server` with a store and artifacts of its own, or that of a database without one."""
    if request.param == "server":
        with mlflow_server(tmp_path_factory.mktemp("server")) as (address, _):
            yield address
        return
    stack = request.getfixturevalue("stack")
    yield stack.environment["MLFLOW_TRACKING_URI"] if request.param == "stack" else stack.database("alone")


def at_once(code: str, *arguments: list[str]) -> list[str]:
    """Run the code in as many processes as there are lists of arguments; return what each has said."""
    started = [
        subprocess.Popen([sys.executable, "-c", code, *each], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for each in arguments
    ]
    ended = [(process.communicate(), process.returncode) for process in started]
    assert all(code == 0 for _, code in ended), [errors for (_, errors), _ in ended]
    return [said.strip().splitlines()[-1] for (said, _), _ in ended]  # MLflow tells first where its pages are


def test_the_whole_way(project: Any, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    client = tracking_client()
    experiment = ensure_experiment(client, "unblur")

    project.export(0.5)

    def fail(facts: object) -> str:
        raise UnblurError("no card")

    with pytest.MonkeyPatch.context() as patch:  # after the model is logged: nothing of it stays
        patch.setattr("unblur.registry.register.describe", fail)
        with pytest.raises(UnblurError, match="no card"):
            register(project.cfg, project.root)
    assert client.search_logged_models([experiment]) == []
    assert client.search_runs([experiment]) == []

    folder = project.root / "artifacts/registry"
    for number, amount in ((1, 0.8), (2, 0.8 + 1e-4)):
        sha256 = project.export(amount)
        assert register(project.cfg, project.root).version.number == number
        record = run_gate(project.cfg, project.root)
        assert record is not None
        assert record.passed
        assert promote("unblur", project.root, folder).after == number
    assert load_restorer("models:/unblur@champion", threads=1).sha256 == sha256
    batch = np.random.default_rng(0).random((1, 3, 9, 7), dtype=np.float32)
    restored = mlflow.pyfunc.load_model("models:/unblur@champion").predict({"blur": batch})["restored"]
    expected = load_restorer(project.root / "artifacts/export/trained/model.onnx", threads=1, runtime="onnxruntime")
    np.testing.assert_allclose(restored, expected(batch), atol=1e-6)
    rollback("unblur")
    assert read_aliases(client, "unblur") == {"candidate": 2, "champion": 1}
    assert [line.action for line in read_ledger(client, "unblur")] == ["promote", "promote", "rollback"]


def test_at_once_one_moves_and_one_version_is_made(project: Any, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("UNBLUR_ROOT", str(project.root))
    project.cfg.registry.model_name = "together"
    project.export(0.8)
    settings = project.root / "cfg.pickle"
    settings.write_bytes(pickle.dumps(project.cfg))
    said = at_once(REGISTER, *[[str(settings), str(project.root)]] * 4)
    assert sorted(said) == ["False 1", "False 1", "False 1", "True 1"]
    run_gate(project.cfg, project.root)
    said = at_once(PROMOTE.replace('"unblur"', '"together"'), *[[str(project.root), str(i)] for i in range(4)])
    assert sorted(said) == ["False", "False", "False", "True"]
    assert len(read_ledger(tracking_client(), "together")) == 1

    project.export(0.8 + 1e-4)
    register(project.cfg, project.root)
    run_gate(project.cfg, project.root)
    promote("together", project.root, project.root / "artifacts/registry")
    said = at_once(ROLLBACK, ["2"], ["2"])
    assert sorted(said) == ["1", "Expected together v2 as champion, found together v1. Nothing was changed."]
    assert read_aliases(tracking_client(), "together")["champion"] == 1
    assert [line.action for line in read_ledger(tracking_client(), "together")] == ["promote", "promote", "rollback"]


@pytest.mark.services
def test_first_uses_of_an_empty_database_at_once(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for turn in range(2):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.database(f"first{turn}"))
        assert at_once(FIRST_USE, *[[]] * 4) == ["1"] * 4


@pytest.mark.services
def test_a_database_that_refuses_the_password_is_one_line_without_it(
    stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = re.sub(r":\w+@", ":of-another@", stack.database("refused"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(UnblurError, match=r"postgresql://\*\*\*@.*: the store refuses this user; check") as caught:
        rollback("unblur")
    assert "of-another" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line_without_the_password(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:9")
    started = time.monotonic()
    for call in (
        lambda: rollback("unblur"),
        lambda: load_restorer("models:/unblur@champion"),
        lambda: run_gate(project.cfg, project.root),
    ):
        with pytest.raises(
            UnblurError, match=r"http://\*\*\*@127\.0\.0\.1:9: the store, or where it keeps its files, does not answer"
        ) as caught:
            call()
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 60
