"""`unblur serve`: the addresses through FastAPI's client, and one real process, on a model that blurs over 3 x 3."""

import errno
import hashlib
import io
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import httpx
import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import unblur
from unblur.errors import BrokenModelError, UsageError
from unblur.serving import upload
from unblur.serving.app import make_app
from unblur.serving.policies import STYLE
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings, keys_of_environment, read_keys


@pytest.fixture
def model(box_onnx):
    return unblur.load(box_onnx(), runtime="onnxruntime", threads=1)


@pytest.fixture
def client(model):
    return TestClient(make_app(Served(Loaded(model)), Settings(max_bytes=200_000, max_pixels=20_000)))


def encoded(pixels, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def test_the_answer_is_that_of_the_library(client, model, make_photo):
    photo = make_photo()
    for query, strength in (("", 1.0), ("?strength=0.5", 0.5)):
        answer = client.post(f"/v1/restore{query}", content=encoded(photo))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/png"
        np.testing.assert_array_equal(Image.open(io.BytesIO(answer.content)), model(photo, strength=strength))
    assert answer.headers["x-unblur-sha256"] == model.sha256
    assert int(answer.headers["x-unblur-milliseconds"]) >= 0
    assert answer.headers["x-unblur-notes"] == "[]"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_formats_and_exif(client, make_photo):
    exif = Image.Exif()
    exif[0x010E] = "a bridge"
    photo = encoded(make_photo(), "JPEG", exif=exif)
    for query, kind in (("", "JPEG"), ("?format=webp", "WEBP"), ("?format=tiff", "TIFF")):
        image = Image.open(io.BytesIO(client.post(f"/v1/restore{query}", content=photo).content))
        assert image.format == kind
        assert image.getexif()[0x010E] == "a bridge"
    assert client.post("/v1/restore", content=encoded(make_photo(), "BMP")).headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("query", "content", "status", "says"),
    [
        ("", b"", 422, "empty"),
        ("", b"no picture", 422, "not a picture"),
        ("", b"x" * 200_001, 413, "200000 bytes"),
        ("", encoded(np.zeros((200, 200, 3), np.uint8)), 422, "megapixels"),
        ("?strength=2", b"x", 422, "0 to 1"),
        ("?strength=much", b"x", 422, "0 to 1"),
        ("?strength=nan", b"x", 422, "0 to 1"),
        ("?format=gif", b"x", 422, "format"),
    ],
)
def test_what_is_wrong_is_one_line_without_a_path(client, query, content, status, says):
    answer = client.post(f"/v1/restore{query}", content=content)
    assert answer.status_code == status
    line = answer.json()["error"]
    assert says in line
    assert "\n" not in line
    assert "/" not in line


def test_a_truncated_photograph(client, make_photo):
    answer = client.post("/v1/restore", content=encoded(make_photo())[:2000])
    assert answer.status_code == 422
    assert "/" not in answer.json()["error"]


def test_health_and_readiness(client, model):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json()["sha256"] == model.sha256
    assert client.get("/nowhere").json() == {"error": "Not Found"}


def test_the_page_may_load_its_own_files_alone(client):
    page = client.get("/")
    assert page.status_code == 200
    for answer in (page, client.get("/page/page.js"), client.get("/page/page.css")):
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert policy["style-src"] == f"'self' {STYLE}"  # that of explanations, which lie in frames
    assert client.get("/page/../app.py").status_code == client.get("/page/%2e%2e/app.py").status_code == 404


def test_keys(model, make_photo, tmp_path):
    (tmp_path / "keys").write_text("# mine\n" + hashlib.sha256(b"open").hexdigest() + "\n")
    client = TestClient(make_app(Served(Loaded(model)), Settings(keys=read_keys(tmp_path / "keys"))))
    photo = encoded(make_photo())
    assert client.post("/v1/restore", content=photo).status_code == 401
    assert client.post("/v1/restore", content=photo, headers={"x-api-key": "shut"}).status_code == 401
    assert client.post("/v1/restore", content=photo, headers={"x-api-key": "open"}).status_code == 200
    assert client.post("/v1/restore", content=photo, headers={"authorization": "Bearer open"}).status_code == 200
    for path in ("/", "/page/page.js", "/healthz"):
        assert client.get(path).status_code == 200
    (tmp_path / "keys").write_text("open\n")
    with pytest.raises(UsageError, match="SHA-256"):
        read_keys(tmp_path / "keys")


def test_keys_of_the_environment():
    one, two = (hashlib.sha256(key).hexdigest() for key in (b"one", b"two"))
    assert keys_of_environment(None) == ()
    assert keys_of_environment(f"{one},{two.upper()}") == keys_of_environment(f"{one}\n# mine\n{two}\n") == (one, two)
    for wrong in ("", " ", "one", f"{one} {two}"):
        with pytest.raises(UsageError, match="UNBLUR_KEYS: expected the SHA-256"):
            keys_of_environment(wrong)


def served(restorer):
    return Served(Loaded(unblur.library.Model(restorer)))


class Held:
    """A restorer that waits until it is let go."""

    name, sha256, task = "held", "0" * 64, "image"

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, batch):
        self.begun.set()
        assert self.go.wait(20)
        return batch


def test_one_too_many_is_told_when_to_come_back(make_photo):
    held = Held()
    client = TestClient(make_app(served(held), Settings(waiting=0)))
    photo, first = encoded(make_photo()), []
    thread = threading.Thread(target=lambda: first.append(client.post("/v1/restore", content=photo)))
    thread.start()
    assert held.begun.wait(20)
    refused = client.post("/v1/restore", content=photo)
    held.go.set()
    thread.join()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert first[0].status_code == 200


class Slow:
    """A restorer that counts its tiles."""

    name, sha256, task = "slow", "0" * 64, "image"

    def __init__(self):
        self.tiles = 0

    def __call__(self, batch):
        self.tiles += 1
        time.sleep(0.2)
        return batch


def test_work_ends_when_the_client_goes_away(serve, make_photo):
    slow = Slow()
    app = make_app(served(slow), Settings(tile=32, overlap=0))  # 12 x 16 tiles: 38 s
    _, address = serve(app)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{address}/v1/restore", content=encoded(make_photo(384, 512)), timeout=0.6)
    until = time.monotonic() + 20
    while app.state.desk.inside and time.monotonic() < until:
        time.sleep(0.05)
    assert app.state.desk.inside == 0
    assert 0 < slow.tiles < 12 * 16


def listens(address):
    try:
        httpx.get(f"{address}/healthz")
    except httpx.TransportError:
        return False
    return True


def test_a_fault_of_the_server_is_one_line(make_photo):
    def broken(batch):
        raise RuntimeError("/a/path of the server")

    broken.name, broken.sha256, broken.task = "broken", "0" * 64, "image"
    client = TestClient(make_app(served(broken), Settings()), raise_server_exceptions=False)
    answer = client.post("/v1/restore", content=encoded(make_photo()))
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server has failed; its log says why"}
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "error",
    [BrokenModelError("/a/path: cannot be compiled"), MemoryError(), OSError(errno.ENOSPC, "No space left on device")],
)
def test_what_machine_or_model_cannot_do_is_no_mistake_of_the_client(make_photo, caplog, error):
    def broken(batch):
        raise error

    broken.name, broken.sha256, broken.task = "broken", "0" * 64, "image"
    client = TestClient(make_app(served(broken), Settings()))
    image = {"name": "image", "shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [9] * 12}
    for answer in (
        client.post("/v1/restore", content=encoded(make_photo())),
        client.post("/v2/models/unblur/infer", json={"inputs": [image]}),
    ):
        assert answer.status_code == 503
        assert answer.json() == {
            "error": "the server could not do this, its log says why; send it later, or a smaller one"
        }
    lines = [record for record in caplog.records if record.message == "the server could not do a request"]
    assert [line.levelname for line in lines] == ["ERROR", "ERROR"]
    assert all(line.exc_info and line.about["request"] for line in lines)


def test_an_upload_that_cannot_be_written_is_no_mistake_of_the_client(client, make_photo, tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "SHARED_MEMORY", tmp_path / "gone")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert client.post("/v1/restore", content=encoded(make_photo())).status_code == 503


def test_a_stopping_server_finishes_what_is_under_way(serve, make_photo):
    held, answers = Held(), []
    server, address = serve(make_app(served(held), Settings()))
    photo = encoded(make_photo())
    thread = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{address}/v1/restore", content=photo, timeout=30))
    )
    thread.start()
    assert held.begun.wait(20)
    server.should_exit = True
    until = time.monotonic() + 20
    while listens(address) and time.monotonic() < until:
        time.sleep(0.05)
    assert not listens(address)
    held.go.set()
    thread.join(30)
    assert answers[0].status_code == 200


def test_work_that_takes_too_long_is_stopped(model, make_photo):
    client = TestClient(make_app(Served(Loaded(model)), Settings(seconds=-1.0)))
    assert client.post("/v1/restore", content=encoded(make_photo())).status_code == 503


def test_a_request_may_be_in_a_hurry(make_photo):
    slow = Slow()
    app = make_app(served(slow), Settings(tile=32, overlap=0))  # 12 x 16 tiles: 38 s
    client, photo = TestClient(app), encoded(make_photo(384, 512))
    answer = client.post("/v1/restore?deadline=0.5", content=photo)
    assert answer.status_code == 503
    assert "0.5 s" in answer.json()["error"]
    until = time.monotonic() + 20
    while app.state.desk.inside and time.monotonic() < until:
        time.sleep(0.05)
    assert app.state.desk.inside == app.state.desk.restoring == 0
    assert slow.tiles < 12 * 16
    for deadline in ("0", "-1", "nan"):
        assert client.post(f"/v1/restore?deadline={deadline}", content=photo).status_code == 422


def test_what_waits_leaves_the_queue_when_its_time_is_over(make_photo):
    held, photo = Held(), encoded(make_photo())
    app = make_app(served(held), Settings())
    client = TestClient(app)
    thread = threading.Thread(target=lambda: client.post("/v1/restore", content=photo))
    thread.start()
    assert held.begun.wait(20)
    assert client.post("/v1/restore?deadline=0.2", content=photo).status_code == 503
    assert app.state.desk.inside == 1  # the one that is worked on
    held.go.set()
    thread.join()
    assert app.state.desk.inside == 0


def test_a_process_answers_and_ends_with_0(box_onnx, make_photo, port):
    command = [sys.executable, "-m", "unblur.commands.serve", "--model", box_onnx(), "--port", str(port)]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.ConnectError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/restore", content=encoded(make_photo()), timeout=30)
        assert answer.status_code == 200
        listening = psutil.Process(process.pid).net_connections("inet")
        assert {each.laddr for each in listening if each.status == psutil.CONN_LISTEN} == {("127.0.0.1", port)}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", None), ("203.0.113.1", 0)])
def test_an_address_that_cannot_be_had_is_told_in_one_line(box_onnx, host, port):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if port is None else port
        command = [sys.executable, "-m", "unblur.commands.serve", "--model", box_onnx(), "--host", host, "--port", port]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {host}:{port}: cannot listen there")
    assert done.stderr.count("\n") == 1
