"""Models that are exchanged while requests are answered, and a real registry whose champion moves."""

import io
import signal
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest
from PIL import Image

import unblur
from unblur.errors import UnblurError
from unblur.library import Model
from unblur.safety.hashing import sha256_file
from unblur.serving.app import make_app
from unblur.serving.served import Alias, Loaded, Served, check
from unblur.serving.settings import Settings

EXCHANGES = 100


def encoded(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


class Answering:
    """A restorer that answers with `change` of what it gets."""

    name, sha256, task = "answering", "0" * 64, "image"

    def __init__(self, change):
        self.change = change

    def __call__(self, batch):
        return self.change(batch)


def test_no_request_fails_while_models_are_exchanged(serve, box_onnx, make_photo):
    paths = [box_onnx(3, "a.onnx"), box_onnx(5, "b.onnx")]
    photo, leads_to = make_photo(), [str(paths[0])]
    expected = {}
    for path in paths:
        model = unblur.load(path, runtime="onnxruntime", threads=1)
        expected[model.sha256] = model(photo)
    alias = Alias(lambda: leads_to[0], lambda path: unblur.load(path, runtime="onnxruntime", threads=1))
    served = Served(Loaded(alias.load(leads_to[0]), leads_to[0]), alias, tile=64)
    _, address = serve(make_app(served, Settings(workers=2)))
    over, answers = threading.Event(), []

    def ask():
        with httpx.Client(timeout=30) as client:
            while not over.is_set():
                answers.append(client.post(f"{address}/v1/restore", content=encoded(photo)))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 120
    for number in range(EXCHANGES):
        while len(answers) <= number and time.monotonic() < until:  # a request at least between two exchanges
            time.sleep(0.002)
        leads_to[0] = str(paths[(number + 1) % 2])
        served.look()
    over.set()
    for thread in threads:
        thread.join(30)
    assert served.exchanges == EXCHANGES
    assert len(answers) >= EXCHANGES
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-unblur-sha256"] for answer in answers} == set(expected)
    for answer in answers:
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
        np.testing.assert_array_equal(pixels, expected[answer.headers["x-unblur-sha256"]])


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: batch * np.nan,
        lambda batch: batch[..., :-1],
        lambda batch: 1 - batch,
        lambda batch: batch / 0 if batch.ndim > 9 else {}["nothing"],
    ],
)
def test_a_model_that_fails_leaves_the_old_one_in_place(change, caplog):
    old, broken = Loaded(Model(Answering(lambda batch: batch)), "1"), Model(Answering(change))
    leads_to, loads = ["2"], []

    def load(reference):
        loads.append(reference)
        return broken if reference == "2" else old.model

    served = Served(old, Alias(lambda: leads_to[0], load), tile=32)
    for _ in range(3):
        served.look()
    assert served.now is old
    assert served.fault == "2 cannot be served; the log says why"
    assert loads == ["2"]  # once a minute at most
    assert sum("2 cannot be served" in line.message for line in caplog.records) == 1
    leads_to[0] = "1"
    served.look()
    assert served.fault == ""
    leads_to[0] = "3"
    served.look()
    assert served.now.reference == "3"


def test_a_registry_that_is_away_leaves_the_model_in_place():
    def away():
        raise UnblurError("no answer")

    served = Served(Loaded(Model(Answering(lambda batch: batch)), "1"), Alias(away, lambda reference: None))
    served.look()
    assert served.now.reference == "1"
    assert "registry" in served.fault


def test_models_for_videos_are_refused():
    restorer = Answering(lambda batch: batch)
    restorer.task = "video"
    with pytest.raises(UnblurError, match="restores videos"):
        check(Model(restorer))


@pytest.mark.slow
@pytest.mark.pipeline
def test_the_champion_of_a_registry_is_followed(tmp_path, monkeypatch, box_onnx, make_photo, port):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    from unblur.config.tracking import tracking_client

    client = tracking_client()
    client.create_registered_model("unblur")
    run = client.create_run(client.create_experiment("e", artifact_location=(tmp_path / "artifacts").as_uri()))
    sha256 = {}
    for side in (3, 5, 7):
        path = box_onnx(side, f"{side}/model.onnx")
        tags = {"model_sha256": sha256_file(path)}
        version = client.create_model_version("unblur", path.parent.as_uri(), run.info.run_id, tags=tags).version
        sha256[str(version)] = tags["model_sha256"]
    path.write_bytes(path.read_bytes() + b"x")  # no longer what was registered
    one, two, damaged = sha256
    client.set_registered_model_alias("unblur", "champion", one)
    command = [sys.executable, "-m", "unblur.commands.serve", "--port", str(port), "--follow", "0.2", "--threads", "1"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"

    def ready_when(true):
        for _ in range(400):
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                ready = httpx.get(f"{address}/readyz").json()
                if true(ready):
                    return ready
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError((tmp_path / "log").read_text())

    try:
        assert ready_when(lambda ready: ready["version"] == one)["sha256"] == sha256[one]
        client.set_registered_model_alias("unblur", "champion", two)
        assert ready_when(lambda ready: ready["version"] == two)["sha256"] == sha256[two]
        client.set_registered_model_alias("unblur", "champion", damaged)
        ready = ready_when(lambda ready: "fault" in ready)
        assert ready["version"] == two
        assert ready["fault"] == f"models:/unblur/{damaged} cannot be served; the log says why"
        assert "not the file that was registered" in (tmp_path / "log").read_text()
        answer = httpx.post(f"{address}/v1/restore", content=encoded(make_photo()), timeout=30)
        assert answer.status_code == 200
        assert answer.headers["x-unblur-version"] == two
        assert answer.headers["x-unblur-model"] == "models:/unblur@champion"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
