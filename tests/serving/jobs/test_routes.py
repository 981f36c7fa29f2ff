"""Jobs through their addresses, on a real server: clips and photographs, progress, results, and what goes wrong."""

import hashlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import av
import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import unblur
from unblur.library import Model
from unblur.restoring.video import restore_video
from unblur.serving.app import make_app
from unblur.serving.jobs import routes
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder that jobs are in, alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def model(box_onnx):
    return unblur.load(box_onnx(), runtime="onnxruntime", threads=1)


@pytest.fixture
def clip(tmp_path, make_photo):
    """`clip(frames=8, name="clip.mp4")`: a video with sound."""

    def make(frames=8, name="clip.mp4"):
        path = tmp_path / name
        with av.open(str(path), "w") as made:
            seen = made.add_stream("libx264", rate=25, options={"crf": "4", "threads": "1"})
            seen.height, seen.width, seen.pix_fmt = 48, 64, "yuv420p"
            heard = made.add_stream("aac", rate=44100, layout="mono")
            photo = make_photo(48, 64)
            for number in range(frames):
                picture = np.ascontiguousarray(np.roll(photo, number, axis=1))
                made.mux(seen.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            made.mux(seen.encode(None))
            for block in range(20):
                samples = av.AudioFrame.from_ndarray(np.float32(np.sin(np.arange(1024) / 9))[None], "fltp", "mono")
                samples.sample_rate, samples.pts = 44100, block * 1024
                made.mux(heard.encode(samples))
            made.mux(heard.encode(None))
        return path

    return make


def encoded(pixels, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def shown(path):
    with av.open(str(path)) as video:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])


def heard(path):
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(audio=0) if packet.size]


def events_of(address, job):
    """Return the events of a job up to its end, as (name, what is said)."""
    with httpx.stream("GET", address + job["events"], timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = list(stream.iter_lines())
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    said = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return list(zip(names, said, strict=True))


@pytest.mark.parametrize(
    ("name", "query", "ending", "kind"),
    [
        ("clip.mp4", "", "mp4", "video/mp4"),
        ("clip.mkv", "", "mkv", "video/x-matroska"),
        ("clip.mp4", "?format=mov", "mov", "video/quicktime"),
    ],
)
def test_a_video_is_restored_as_by_the_command(serve, model, clip, tmp_path, name, query, ending, kind):
    _, address = serve(make_app(Served(Loaded(model, "models:/unblur/7")), Settings()))
    source = clip(name=name)
    begun = httpx.post(f"{address}/v1/jobs{query}", content=source.read_bytes(), timeout=60)
    assert begun.status_code == 202
    job = begun.json()
    assert begun.headers["location"] == job["address"]
    assert re.fullmatch(r"[\w-]{32}", job["id"])
    assert (job["kind"], job["format"]) == ("video", ending)
    assert job["frames"] >= 8  # of an MKV by its duration, which is that of the sound
    *under_way, (last, said) = events_of(address, job)
    shares = [each["share"] for _, each in under_way] + [said["share"]]
    assert {each for each, _ in under_way} <= {"progress"}
    assert last == "end"
    assert shares == sorted(shares)
    assert (said["status"], said["share"], said["notes"]) == ("done", 1, [])
    assert (said["version"], said["sha256"]) == ("7", model.sha256)
    assert httpx.get(address + job["address"]).json() == said
    result = httpx.get(address + said["result"])
    assert result.headers["content-type"] == kind
    assert f'filename="restored.{ending}"' in result.headers["content-disposition"]
    assert len(result.content) == said["bytes"]
    (got := tmp_path / f"got.{ending}").write_bytes(result.content)
    restore_video(model.restorer, source, expected := tmp_path / f"expected.{ending}")
    away = [np.square(shown(got).astype(float) - shown(path)).mean() for path in (expected, source)]
    assert 16 * away[0] < away[1]  # x264 may write the same frames a little differently another time
    assert heard(got) == heard(source)


def test_a_photograph_is_restored_as_by_the_library_tile_by_tile(serve, make_photo, temporary):
    slow = Slow(0.05)
    _, address = serve(make_app(Served(Loaded(Model(slow))), Settings(tile=64, overlap=16)))
    photo = make_photo(200, 300)
    job = httpx.post(f"{address}/v1/jobs?format=png", content=encoded(photo, "TIFF")).json()
    said = [each for _, each in events_of(address, job)]
    assert len({each["share"] for each in said}) > 3
    assert said[-1]["status"] == "done"
    result = httpx.get(address + said[-1]["result"])
    assert result.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(Image.open(io.BytesIO(result.content)), photo)
    (folder,) = temporary.glob("unblur-jobs-*")
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.glob("*/*")] == ["restored.png"]  # the upload is deleted
    assert httpx.delete(address + job["address"]).status_code == 200
    assert list(folder.iterdir()) == []
    assert httpx.get(address + job["address"]).status_code == 404


class Slow:
    """A restorer that takes its time, and counts."""

    name, sha256, task = "slow", "0" * 64, "image"

    def __init__(self, seconds=0.2):
        self.seconds, self.calls, self.begun = seconds, 0, threading.Event()

    def __call__(self, batch):
        self.calls += 1
        self.begun.set()
        time.sleep(self.seconds)
        return batch


@pytest.mark.parametrize("kind", ["photograph", "video"])
def test_a_cancelled_job_stops_before_its_next_step_and_leaves_nothing(serve, clip, make_photo, temporary, kind):
    slow = Slow()
    app = make_app(Served(Loaded(Model(slow))), Settings(tile=32, overlap=0))
    _, address = serve(app)
    content = clip(200).read_bytes() if kind == "video" else encoded(make_photo(384, 512))
    first = httpx.post(f"{address}/v1/jobs", content=content, timeout=30).json()
    second = httpx.post(f"{address}/v1/jobs", content=content, timeout=30).json()
    assert slow.begun.wait(20)
    assert httpx.get(address + second["address"]).json()["status"] == "queued"
    metrics = httpx.get(f"{address}/metrics").text
    assert 'unblur_jobs{status="queued"} 1.0' in metrics
    assert 'unblur_jobs{status="restoring"} 1.0' in metrics
    assert httpx.get(address + first["address"] + "/result").status_code == 409
    followed = []
    thread = threading.Thread(target=lambda: followed.extend(events_of(address, first)))
    thread.start()
    time.sleep(0.5)
    for job in (second, first):
        assert httpx.delete(address + job["address"]).json()["status"] == "cancelled"
        assert httpx.get(address + job["address"]).status_code == 404
    thread.join(20)
    assert (followed[-1][0], followed[-1][1]["status"]) == ("end", "cancelled")
    until = time.monotonic() + 20
    while list(temporary.glob("*/*")) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(temporary.glob("*/*")) == []
    calls = slow.calls
    time.sleep(0.5)
    assert slow.calls == calls < 60


def test_results_are_deleted_after_a_while(serve, model, make_photo, temporary):
    _, address = serve(make_app(Served(Loaded(model)), Settings(keep_results=1)))
    job = httpx.post(f"{address}/v1/jobs", content=encoded(make_photo())).json()
    assert events_of(address, job)[-1][1]["status"] == "done"
    until = time.monotonic() + 20
    while httpx.get(address + job["address"]).status_code == 200 and time.monotonic() < until:
        time.sleep(0.1)
    assert httpx.get(address + job["address"] + "/result").status_code == 404
    assert list(temporary.glob("*/*")) == []


def test_an_ending_server_cancels_its_jobs_and_deletes_their_files(serve, clip, temporary):
    slow = Slow()
    server, address = serve(make_app(Served(Loaded(Model(slow))), Settings()))
    job = httpx.post(f"{address}/v1/jobs", content=clip(200).read_bytes(), timeout=30).json()
    assert slow.begun.wait(20)
    followed = []
    thread = threading.Thread(target=lambda: followed.extend(events_of(address, job)))
    thread.start()
    time.sleep(0.5)
    server.should_exit = True
    thread.join(20)
    assert followed[-1][1]["status"] == "cancelled"
    until = time.monotonic() + 20
    while list(temporary.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []


def test_a_process_that_is_ended_leaves_nothing(box_onnx, clip, port, temporary, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(temporary))
    command = [sys.executable, "-m", "unblur.commands.serve", "--model", box_onnx(), "--port", port, "--threads", "1"]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{address}/healthz")
                break
            except httpx.ConnectError:
                assert process.poll() is None
                time.sleep(0.1)
        content = clip(3000).read_bytes()
        assert httpx.post(f"{address}/v1/jobs", content=content, timeout=30).status_code == 202
        assert list(temporary.glob("unblur-jobs-*/*"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert not list(temporary.glob("unblur-jobs-*"))


@pytest.fixture
def client(model):
    return TestClient(make_app(Served(Loaded(model)), Settings(job_bytes=200_000, max_pixels=20_000)))


@pytest.mark.parametrize(
    ("query", "content", "status", "says"),
    [
        ("", b"", 422, "empty"),
        ("", b"neither", 422, "neither a photograph"),
        ("", encoded(np.zeros((200, 200, 3), np.uint8)), 422, "megapixels"),
        ("", b"x" * 200_001, 413, "200000 bytes"),
        ("", b"GIF89a" + bytes(99), 422, "a GIF is not read"),
        ("?format=mp4", encoded(np.zeros((9, 9, 3), np.uint8)), 422, "not for a photograph"),
        ("?format=gif", b"x", 422, "format: "),
        ("?strength=2", b"x", 422, "0 to 1"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_no_job(client, temporary, query, content, status, says):
    answer = client.post(f"/v1/jobs{query}", content=content)
    assert answer.status_code == status
    line = answer.json()["error"]
    assert says in line
    assert "\n" not in line
    assert str(temporary) not in line
    assert client.app.state.jobs.all == {}
    assert list(temporary.glob("*/*")) == []


def test_what_does_not_go_with_a_video_is_told(client, clip, make_photo):
    content = clip().read_bytes()
    for query, says in (("?format=png", "not for a video"), ("?strength=auto", "number from 0 to 1 for a video")):
        answer = client.post(f"/v1/jobs{query}", content=content)
        assert answer.status_code == 422
        assert says in answer.json()["error"]
    assert client.post("/v1/jobs", content=content[:600]).status_code == 422
    assert client.get("/v1/jobs/none").json()["error"].startswith("no such job")


def test_what_fails_is_told_and_fails_alone(serve, make_photo, clip, temporary, caplog):
    def broken(batch):
        raise RuntimeError("/a/path of the server")

    broken.name, broken.sha256, broken.task = "broken", "0" * 64, "image"
    app = make_app(Served(Loaded(Model(broken))), Settings())
    _, address = serve(app)
    damaged = encoded(make_photo())[:2000]
    jobs = [httpx.post(f"{address}/v1/jobs", content=each).json() for each in (damaged, clip().read_bytes())]
    ends = [events_of(address, job)[-1][1] for job in jobs]
    assert [end["status"] for end in ends] == ["failed", "failed"]
    assert "truncated" in ends[0]["error"] or "damaged" in ends[0]["error"]
    assert str(temporary) not in ends[0]["error"]
    assert ends[1]["error"] == "the server has failed; its log says why"
    assert httpx.get(address + jobs[0]["address"] + "/result").status_code == 409
    assert list(temporary.glob("*/*")) == []
    app.state.served.now = Loaded(Model(Slow(0)))
    job = httpx.post(f"{address}/v1/jobs", content=clip().read_bytes()).json()
    assert events_of(address, job)[-1][1]["status"] == "done"


def test_there_is_room_for_so_many_jobs_and_bytes(serve, make_photo, clip):
    slow, photo = Slow(), encoded(make_photo(384, 512))
    _, address = serve(make_app(Served(Loaded(Model(slow))), Settings(jobs=1, tile=32, overlap=0, keep_results=9)))
    job = httpx.post(f"{address}/v1/jobs", content=photo).json()
    refused = httpx.post(f"{address}/v1/jobs", content=photo)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 9
    httpx.delete(address + job["address"])
    assert httpx.post(f"{address}/v1/jobs", content=photo).status_code == 202


def test_a_result_that_does_not_fit_fails(serve, make_video, tmp_path, temporary):
    noise = np.random.default_rng(0).integers(0, 256, (30, 128, 128, 3), np.uint8)
    content = make_video(tmp_path / "noise.mp4", noise, "libx264", "yuv420p", crf="45").read_bytes()
    settings = Settings(jobs_bytes=len(content) + 100)
    _, address = serve(make_app(Served(Loaded(Model(Slow(0)))), settings))
    assert httpx.post(f"{address}/v1/jobs", content=bytes(len(content) + 101)).status_code == 429
    end = events_of(address, httpx.post(f"{address}/v1/jobs", content=content).json())[-1][1]
    assert end["status"] == "failed"
    assert "more bytes than the server allows" in end["error"]
    until = time.monotonic() + 60  # the files go after it has been told
    while list(temporary.glob("*/*")):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_job_that_takes_too_long_fails(serve, clip):
    _, address = serve(make_app(Served(Loaded(Model(Slow()))), Settings(job_seconds=0.5)))
    job = httpx.post(f"{address}/v1/jobs", content=clip(200).read_bytes(), timeout=30).json()
    end = events_of(address, job)[-1][1]
    assert end["status"] == "failed"
    assert end["error"].startswith("not done within 0.5 s")


def test_a_folder_that_something_has_cleaned_up_is_made_anew(
    serve, model, make_photo, temporary, tmp_path, monkeypatch
):
    _, address = serve(make_app(Served(Loaded(model)), Settings()))
    photo = encoded(make_photo())
    job = httpx.post(f"{address}/v1/jobs", content=photo).json()
    said = events_of(address, job)[-1][1]
    (folder,) = temporary.glob("unblur-jobs-*")
    shutil.rmtree(folder)
    gone = httpx.get(address + said["result"])
    assert (gone.status_code, gone.json()["error"][:18]) == (404, "the result is gone")
    again = httpx.post(f"{address}/v1/jobs", content=photo)
    assert again.status_code == 202
    assert httpx.get(address + events_of(address, again.json())[-1][1]["result"]).status_code == 200
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    shutil.rmtree(temporary)
    refused = httpx.post(f"{address}/v1/jobs", content=photo)
    assert refused.status_code == 503
    assert refused.json()["error"].startswith("the upload cannot be stored (No such file or directory)")


def test_photographs_do_not_wait_for_jobs(serve, clip, make_photo):
    _, address = serve(make_app(Served(Loaded(Model(Slow()))), Settings()))
    job = httpx.post(f"{address}/v1/jobs", content=clip(200).read_bytes(), timeout=30).json()
    assert httpx.post(f"{address}/v1/restore", content=encoded(make_photo()), timeout=30).status_code == 200
    assert httpx.get(address + job["address"]).json()["status"] == "restoring"


def test_a_quiet_connection_is_held_by_a_line_now_and_then(serve, make_photo, monkeypatch):
    monkeypatch.setattr(routes, "BEAT_SECONDS", 0.3)
    _, address = serve(make_app(Served(Loaded(Model(Slow(1.5)))), Settings()))
    job = httpx.post(f"{address}/v1/jobs", content=encoded(make_photo())).json()
    with httpx.stream("GET", address + job["events"], timeout=30) as stream:
        lines = list(stream.iter_lines())
    assert lines.count(": the job goes on") >= 2
    assert lines[-4] == "event: end"


def test_keys_hold_for_jobs_and_ids_stay_out_of_the_log(model, make_photo, caplog):
    caplog.set_level("INFO")
    app = make_app(Served(Loaded(model)), Settings(keys=(hashlib.sha256(b"open").hexdigest(),)))
    with TestClient(app) as client:
        assert client.post("/v1/jobs", content=encoded(make_photo())).status_code == 401
        key = {"x-api-key": "open"}
        job = client.post("/v1/jobs", content=encoded(make_photo()), headers=key).json()
        assert client.get(job["address"]).status_code == 401
        assert client.get(job["address"], headers=key).status_code == 200
        until = time.monotonic() + 20
        while client.get(job["address"], headers=key).json()["status"] != "done" and time.monotonic() < until:
            time.sleep(0.05)
    abouts = [record.about for record in caplog.records if hasattr(record, "about")]
    assert "/v1/jobs/{id}" in {about.get("path") for about in abouts}
    assert job["id"] not in str(abouts)
    (ended,) = (about for about in abouts if "kind" in about)
    assert (ended["kind"], ended["status"], ended["format"], ended["sha256"]) == (
        "photograph",
        "done",
        "png",
        model.sha256,
    )
