"""`unblur serve --statistics`: a real process writes a row a photograph, and says what it lacks."""

import io
import signal
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import unblur
from unblur.drift.columns import read_rows
from unblur.drift.recorder import Recorder
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings


def encoded(pixels, kind, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def rows_of(folder):
    return [row for path in sorted(folder.glob("*.parquet")) for row in read_rows(path).to_pylist()]


@pytest.mark.slow
def test_a_real_server_writes_a_row_a_photograph(box_onnx, port, tmp_path, make_photo):
    folder = tmp_path / "statistics"
    command = [sys.executable, "-m", "unblur", "serve", "--model", box_onnx(), "--port", port, "--statistics", folder]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.ConnectError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
        address = f"http://127.0.0.1:{port}/v1/restore"
        photo = make_photo()
        assert httpx.post(address, content=encoded(photo, "JPEG", quality=71), timeout=30).status_code == 200
        assert httpx.post(f"{address}?strength=0.25", content=encoded(photo, "PNG"), timeout=30).status_code == 200
        assert httpx.post(address, content=b"no photograph", timeout=30).status_code == 422
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    rows = rows_of(folder)
    assert [(row["format"], row["quality"], row["strength"]) for row in rows] == [("JPEG", 71, 1), ("PNG", None, 0.25)]
    assert {row["model"] for row in rows} == {unblur.load(box_onnx(), runtime="onnxruntime").sha256}
    # The model is the mean of 3 x 3 pixels: it changes values and takes the energy of edges away.
    assert rows[0]["change"] > 2 * rows[1]["change"] > 0
    assert rows[0]["gain"] < rows[1]["gain"] < 0
    assert {row["guarded"] for row in rows} == {"none"}


def test_statistics_change_no_answer(box_onnx, tmp_path, make_photo):
    model = unblur.load(box_onnx(), runtime="onnxruntime", threads=1)
    answers = []
    for recorder in (None, Recorder(tmp_path / "statistics")):
        client = TestClient(make_app(Served(Loaded(model)), Settings(statistics=recorder)))
        answers.append(client.post("/v1/restore", content=encoded(make_photo(), "PNG")).content)
    recorder.close()
    assert answers[0] == answers[1]
    assert len(rows_of(tmp_path / "statistics")) == 1


def test_nothing_to_gain_is_a_share_of_0(box_onnx, tmp_path, make_photo):
    model = unblur.load(box_onnx(), runtime="onnxruntime", threads=1)
    recorder = Recorder(tmp_path / "statistics")
    client = TestClient(make_app(Served(Loaded(model)), Settings(statistics=recorder)))
    assert client.post("/v1/restore?strength=auto", content=encoded(make_photo(), "PNG")).status_code == 200
    recorder.close()
    (row,) = rows_of(tmp_path / "statistics")
    assert (row["strength"], row["change"], row["gain"]) == (0, 0, 0)
    assert np.isfinite(row["milliseconds"])


def test_a_folder_that_is_not_the_servers_is_told_in_one_line(box_onnx, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    command = [sys.executable, "-m", "unblur", "serve", "--model", box_onnx(), "--statistics", tmp_path]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}: holds ")
    assert done.stderr.count("\n") == 1
