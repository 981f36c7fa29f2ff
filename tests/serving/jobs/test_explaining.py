"""Explanations as jobs, on a model that blurs over 3 x 3: the page, refusals, and what ends them."""

import io
import re
import time

import psutil
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import unblur
from unblur.errors import UsageError
from unblur.library import Model
from unblur.serving.app import make_app
from unblur.serving.jobs import explaining
from unblur.serving.jobs.explaining import WORKER, Place, place_of
from unblur.serving.policies import STYLE
from unblur.serving.served import Loaded, Served, load_served
from unblur.serving.settings import Settings


class Named:
    """What a model is called by."""

    name, sha256, task = "named", "a" * 64, "image"


@pytest.fixture
def photo(make_photo):
    stream = io.BytesIO()
    Image.fromarray(make_photo(200, 240)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def started(box_onnx):
    """`started(**settings)`: a client of a server whose model can be loaded once more."""
    path, clients = box_onnx(), []
    model = unblur.load(path, runtime="onnxruntime", threads=1)

    def start(**settings):
        clients.append(TestClient(make_app(Served(Loaded(model, source=str(path))), Settings(**settings))))
        return clients[-1].__enter__()

    yield start
    for client in clients:
        client.__exit__(None, None, None)


def ended(client, job, seconds=300):
    end = time.monotonic() + seconds
    while (said := client.get(job["address"]).json())["status"] in ("queued", "restoring"):
        assert time.monotonic() < end, said
        time.sleep(0.05)
    return said


def processes():
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if WORKER in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.slow
def test_a_region_is_explained_on_a_page_of_its_own(started, photo, monkeypatch):
    monkeypatch.setattr(explaining, "lower_priority", lambda _: None)  # tests beside it would keep it waiting
    client = started()
    assert client.get("/v1/model").json()["explains"] is True
    begun = client.post("/v1/explain?at=150,90&size=24", content=photo)
    assert begun.status_code == 202, begun.text
    assert (begun.json()["kind"], begun.json()["format"]) == ("explanation", "html")
    said = ended(client, begun.json())
    assert said["status"] == "done", said
    page = client.get(said["result"])
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert f"style-src {STYLE}" in policy
    assert "sandbox" in policy
    assert len(re.findall("<li>", page.text.partition("</ol>")[0])) == 3
    assert "240 x 200 pixels; the marked region is 24 pixels wide, its upper left corner at 138, 78" in page.text
    assert "Whether the maps are true" in page.text
    assert "has no gradients" in page.text  # of an ONNX file, which says so
    assert not re.search(r"<script|https?://", page.text)


@pytest.mark.slow
def test_what_cannot_be_explained_is_told_and_what_is_cancelled_ends(started, photo, monkeypatch):
    monkeypatch.setattr(explaining, "lower_priority", lambda _: None)
    client = started(explanations=2)
    outside = client.post("/v1/explain?at=3,3", content=photo).json()
    waits = client.post("/v1/explain?at=100,100", content=photo).json()
    third = client.post("/v1/explain?at=100,100", content=photo)
    assert (third.status_code, third.json()["error"]) == (429, "other explanations wait already")
    assert int(third.headers["retry-after"]) > 0
    restored = client.post("/v1/jobs", content=photo).json()  # does not wait for them
    assert ended(client, restored)["status"] == "done"
    said = ended(client, outside)
    assert said["status"] == "failed"
    assert said["error"].startswith("at 3,3: a region of 32 pixels around it leaves the picture, which is 240 x 200;")
    end = time.monotonic() + 300
    while not processes():
        assert time.monotonic() < end
        time.sleep(0.02)
    client.delete(waits["address"])
    while processes():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_no_place_no_photograph_or_not_offered_is_refused(started, photo, box_onnx):
    client, closed = started(), started(explanations=0)
    for query, line in (("at=3", "at '3': expected X,Y"), ("at=3,3&size=7", "size 7: expected 8 to 128 pixels")):
        answer = client.post(f"/v1/explain?{query}", content=photo)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(line)
    assert client.post("/v1/explain?at=9,9", content=b"none").json()["error"].startswith("upload: ")
    refused = closed.post("/v1/explain?at=100,100", content=photo)
    assert (refused.status_code, refused.json()) == (404, {"error": "this server explains nothing (--no-explain)"})
    told = closed.get("/v1/model").json()
    assert (told["explains"], told["explains_not"]) == (False, "this server explains nothing (--no-explain)")
    path = str(box_onnx(5, "other.onnx"))
    assert load_served(path, 1, 0, 64).now.again == path
    assert Loaded(Model(Named()), "models:/unblur/7", "models:/unblur@champion").again == "models:/unblur/7"
    unknown = TestClient(make_app(Served(Loaded(unblur.load(box_onnx(), threads=1))), Settings()))
    assert "cannot be loaded once more" in unknown.get("/v1/model").json()["explains_not"]


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "-1,2", "1.5,2", "٣,٣", "1234567,1"])
def test_a_place_is_two_whole_numbers(text):
    with pytest.raises(UsageError, match="expected X,Y"):
        place_of(text, 32)
    assert place_of("12,0", 32) == Place(12, 0, 32)
