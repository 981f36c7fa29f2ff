"""Metrics as Prometheus' own parser reads them, and the log's lines."""

import io
import json
import logging
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from unblur.library import Model
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings
from unblur.serving.watching import JsonLines, request_id


class Casting:
    """A restorer that casts everything in red, which the guard puts back; or does nothing."""

    name, sha256, task = "casting", "a" * 64, "image"
    cast = 0.5

    def __call__(self, batch):
        return batch + np.array([self.cast, 0, 0], np.float32)[:, None, None]


@pytest.fixture
def restorer():
    return Casting()


@pytest.fixture
def client(restorer):
    served = Served(Loaded(Model(restorer), "models:/unblur/7"))
    return TestClient(make_app(served, Settings(max_bytes=500_000)))


@pytest.fixture
def photo(make_photo):
    stream = io.BytesIO()
    Image.fromarray(make_photo()).save(stream, "PNG")
    return stream.getvalue()


def samples(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_what_was_answered(client, restorer, photo):
    for content in (photo, photo, b"no picture"):
        client.post("/v1/restore", content=content)
    restorer.cast = 0.0
    client.post("/v1/restore?strength=auto", content=photo)
    for number in range(3):
        client.get(f"/nowhere/{number}")
    found = samples(client)
    path = ("path", "/v1/restore")
    assert found["unblur_requests_total", path, ("status", "200")] == 3
    assert found["unblur_requests_total", path, ("status", "422")] == 1
    assert found["unblur_requests_total", ("path", "other"), ("status", "404")] == 3
    assert found["unblur_request_seconds_count", path] == 4
    assert found["unblur_request_seconds_bucket", ("le", "+Inf"), path] == 4
    assert found["unblur_guarded_total",] == 2
    assert found["unblur_nothing_to_gain_total",] == 1
    about = (("name", "casting"), ("sha256", "a" * 64), ("version", "7"))
    assert found["unblur_model_info", *about] == 1
    assert found["unblur_model_fault",] == found["unblur_waiting",] == found["unblur_restoring",] == 0


def test_an_answer_has_the_id_of_its_line_in_the_log(client, photo, caplog):
    caplog.set_level(logging.INFO)
    given = client.post("/v1/restore", content=photo, headers={"x-request-id": "trace-1.a"})
    assert given.headers["x-request-id"] == "trace-1.a"
    made = client.post("/v1/restore", content=b"no picture", headers={"x-request-id": 'a" b'})
    lines = [record.about for record in caplog.records if record.message == "answered"]
    assert [line["request"] for line in lines] == ["trace-1.a", made.headers["x-request-id"]]
    assert [line["status"] for line in lines] == [200, 422]
    assert lines[0]["version"] == "7"
    assert lines[0]["path"] == "/v1/restore"


def test_ids_that_a_log_cannot_hold_are_replaced():
    assert request_id("a-B_3.4") == "a-B_3.4"
    for text in ("", "a b", "a\nb", "x" * 65, "ä"):
        assert request_id(text) != text
    assert request_id("") != request_id("")


def test_a_line_of_the_log_is_json():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("unblur", logging.ERROR, "", 0, "it is %s", ("so",), sys.exc_info())
    record.about = {"request": "1"}
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["level"], told["request"]) == ("it is so", "error", "1")
    assert "ValueError: two\nlines" in told["traceback"]


def test_a_process_writes_a_line_a_request_and_nothing_else(box_onnx, photo, port, tmp_path):
    command = [sys.executable, "-m", "unblur.commands.serve", "--model", box_onnx(), "--port", port, "--threads", "1"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            for _ in range(300):
                try:
                    client.get("/healthz")
                    break
                except httpx.ConnectError:
                    assert process.poll() is None
                    time.sleep(0.1)
            answer = client.post("/v1/restore", content=photo)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (line,) = (line for line in lines if line["message"] == "answered")
    assert line["request"] == answer.headers["x-request-id"]
    assert line["sha256"] == answer.headers["x-unblur-sha256"]
    assert 0 < line["seconds"] < 30
