"""Explanations as jobs, on a model that blurs over 3 x 3: the page, refusals, and what ends them."""

import io
import json
import os
import re
import subprocess
import sys
import time

import psutil
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

import unblur
from unblur.errors import UsageError
from unblur.library import Model
from unblur.serving.app import make_app
from unblur.serving.jobs import explainer, explaining, job
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


def explains(process):
    """Whether it does; one that has just ended has no command line, whether somebody waited for it or not."""
    try:
        return WORKER in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes(of=None):
    return [process for process in psutil.Process(of).children(recursive=True) if explains(process)]


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


# Explains as the server does; the tests beside it would keep a process of the lowest priority waiting.
SERVER = """
import json, sys
from pathlib import Path
import unblur
from unblur.serving.jobs import explaining
from unblur.serving.served import Loaded
from unblur.serving.settings import Settings

explaining.lower_priority = lambda _: None
model, source, target = json.loads(sys.argv[1])
now = Loaded(unblur.load(model, runtime="onnxruntime", threads=1), source=model)
explaining.explain(explaining.Place(100, 100, 32), now, (Path(source), Path(target)), Settings(), lambda share: None)
"""


@pytest.mark.slow
def test_an_explanation_ends_with_a_server_that_is_killed(box_onnx, photo, tmp_path):
    (tmp_path / "upload").write_bytes(photo)
    files = [str(box_onnx()), str(tmp_path / "upload"), str(tmp_path / "explained.html")]
    with subprocess.Popen([sys.executable, "-c", SERVER, json.dumps(files)]) as server:
        end = time.monotonic() + 300
        while not (found := processes(server.pid)):
            assert server.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        os.kill(server.pid, 9)
    (process,) = found
    gone, _ = psutil.wait_procs([process], timeout=300)
    if not gone:
        process.kill()
    assert gone
    assert not (tmp_path / "explained.html").exists()  # it did not end because it was done


@pytest.mark.slow
def test_a_frame_of_a_clip_is_explained_as_a_photograph(started, make_photo, make_video, tmp_path, monkeypatch):
    monkeypatch.setattr(explaining, "lower_priority", lambda _: None)
    clip = make_video(tmp_path / "a.mp4", [make_photo(120, 160)] * 10, "libx264", "yuv420p").read_bytes()
    client = started()
    at = client.post("/v1/explain?at=80,60&size=16&time=0.2", content=clip)
    assert (at.status_code, at.json()["kind"], at.json()["format"]) == (202, "explanation", "html"), at.text
    said, after = ended(client, at.json()), client.post("/v1/explain?at=80,60&time=9", content=clip).json()
    assert said["status"] == "done", said
    assert said["notes"][0] == "A frame of a clip is explained as a photograph: the model sees each by itself."
    page = client.get(said["result"]).text
    assert "<h1>a clip&#39;s frame at 0.20 s</h1>" in page
    assert "160 x 120 pixels; the marked region is 16 pixels wide, its upper left corner at 72, 52" in page
    said = ended(client, after)
    assert (said["status"], said["error"]) == (
        "failed",
        "upload: ends after 0.33 s, and was asked for what is shown at 9 s",
    )


def test_what_is_no_place_no_photograph_or_not_offered_is_refused(started, photo, box_onnx):
    client, closed = started(), started(explanations=0)
    for query, line in (
        ("at=3", "at '3': expected X,Y"),
        ("at=3,3&size=7", "size 7: expected 8 to 128 pixels"),
        ("at=3,3&time=-1", "time -1: expected seconds from the beginning of a clip"),
        ("at=3,3&time=nan", "time nan: expected seconds"),
        ("at=99,99&time=1", "time names a moment of a clip, and this is a photograph"),
    ):
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


def test_a_photograph_that_the_server_takes_is_not_too_large_for_pillow(photo, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # in place of 89 megapixels; the photograph has 48,000
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # which holds for the whole process
    (tmp_path / "upload").write_bytes(photo)
    asked = {"source": str(tmp_path / "upload"), "said": str(tmp_path / "said"), "max_pixels": 50_000}
    explainer.main({**asked, "at": [9999, 9999], "size": 32, "time": None})
    assert json.loads((tmp_path / "said").read_text())["error"].startswith("at 9999,9999")


def test_what_is_not_installed_is_told_with_the_command_that_installs_it(started, photo, monkeypatch):
    client = started()
    assert "explains_with" not in client.get("/v1/model").json()
    monkeypatch.setattr(explaining, "is_installed", lambda name: name != "torch")
    told = client.get("/v1/model").json()
    assert (told["explains"], told["explains_with"]) == (False, "pip install 'unblur[train]'")
    refused = client.post("/v1/explain?at=100,100", content=photo)
    assert (refused.status_code, refused.json()["error"]) == (404, told["explains_not"])
    assert told["explains_not"].endswith("needs more packages, pip install 'unblur[train]'")
    assert "explains_with" not in started(explanations=0).get("/v1/model").json()
    monkeypatch.setattr(job, "is_installed", lambda name: name != "av")
    for content in (b"Dear", b"\0\0\0\x20ftypisom"):
        refused = client.post("/v1/jobs", content=content)
        assert refused.status_code == 422
        assert refused.json()["error"].startswith("upload: no photograph that can be read (")
        assert refused.json()["error"].endswith("videos need av: pip install 'unblur[video]'")


def test_a_server_without_jobs_says_so(started, photo):
    client = started(jobs=0)
    for answer in (client.post("/v1/jobs", content=photo), client.get("/v1/jobs/x"), client.get("/v1/jobs/x/events")):
        assert answer.status_code == 404
        assert answer.json()["error"].startswith("this server takes no jobs: send photographs to /v1/restore")
    refused = client.post("/v1/explain?at=100,100", content=photo)
    assert (refused.status_code, refused.json()) == (404, {"error": "this server explains nothing: it takes no jobs"})


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "-1,2", "1.5,2", "٣,٣", "1234567,1"])
def test_a_place_is_two_whole_numbers(text):
    with pytest.raises(UsageError, match="expected X,Y"):
        place_of(text, 32)
    assert place_of("12,0", 32) == Place(12, 0, 32)
