"""The Open Inference Protocol over REST: NVIDIA's client on a real server, and bodies that nobody should send."""

import gzip
import hashlib
import io
import json
import threading
import time
import zlib

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import unblur
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings

INFER = "/v2/models/unblur/infer"
LENGTH = "inference-header-content-length"


@pytest.fixture
def client(app):
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def theirs(serve, app):
    """NVIDIA's client of a running server."""
    _, address = serve(app)
    client = triton.InferenceServerClient(address.removeprefix("http://"))
    yield client
    client.close()


def put_in(images, *, binary=True):
    given = triton.InferInput("image", images.shape, "UINT8" if images.dtype == np.uint8 else "FP32")
    given.set_data_from_numpy(images, binary_data=binary)
    return [given]


def test_what_the_server_says_of_itself(theirs):
    assert theirs.is_server_live()
    assert theirs.is_server_ready()
    assert theirs.is_model_ready("unblur")
    assert theirs.is_model_ready("unblur", "7")
    assert not theirs.is_model_ready("unblur", "8")
    assert not theirs.is_model_ready("other")
    assert theirs.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    told = theirs.get_model_metadata("unblur")
    assert told["versions"] == ["7"]
    assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 3, -1, -1]}]
    assert told["outputs"] == [{"name": "restored", "datatype": "FP32", "shape": [-1, 3, -1, -1]}]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_values_are_those_of_the_bare_restorer(theirs, model, images, binary_in, binary_out):
    outputs = None if binary_out is None else [triton.InferRequestedOutput("restored", binary_data=binary_out)]
    answer = theirs.infer("unblur", put_in(images, binary=binary_in), outputs=outputs, request_id="mine")
    expected = np.concatenate([model.restorer(image[None]) for image in images])
    np.testing.assert_array_equal(answer.as_numpy("restored"), expected)
    told = answer.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == ("unblur", "7", "mine")
    assert told["parameters"]["sha256"] == model.sha256


def test_the_model_may_be_exchanged_between_two_requests(client, app, box_onnx, make_photo):
    photo, other = make_photo(30, 40), unblur.load(box_onnx(5, "other.onnx"), runtime="onnxruntime", threads=1)
    asked = with_data(photo.tolist(), (1, 30, 40, 3), "UINT8")
    assert client.post(INFER, content=asked).json()["model_version"] == "7"
    app.state.served.now = Loaded(other, "models:/unblur/8")
    assert client.get("/v2/models/unblur").json()["versions"] == ["8"]
    answer = client.post(INFER.replace("/infer", "/versions/8/infer"), content=asked).json()
    assert (answer["model_version"], answer["parameters"]["sha256"]) == ("8", other.sha256)
    np.testing.assert_array_equal(np.reshape(answer["outputs"][0]["data"], photo.shape), other(photo))
    gone = client.post(INFER.replace("/infer", "/versions/7/infer"), content=asked)
    assert gone.status_code == 404
    assert "version 8 answers" in gone.json()["error"]


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_bytes_are_restored_as_by_the_library_and_requests_may_be_compressed(theirs, model, make_photo, compression):
    photo = make_photo(50, 70)
    parameters = {"strength": 0.5}
    answer = theirs.infer(
        "unblur",
        put_in(photo[None]),
        model_version="7",
        parameters=parameters,
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    restored = answer.as_numpy("restored")
    assert restored.dtype == np.uint8
    np.testing.assert_array_equal(restored[0], model(photo, strength=0.5))


def test_large_images_go_through_in_tiles_as_photographs_do(serve, model, make_photo):
    _, address = serve(make_app(Served(Loaded(model)), Settings(tile=96, overlap=32)))
    photo = make_photo(200, 150)
    with triton.InferenceServerClient(address.removeprefix("http://")) as client:
        restored = client.infer("unblur", put_in(photo[None])).as_numpy("restored")
    np.testing.assert_array_equal(restored[0], model(photo, tile=96, overlap=32))


def body(images, **changes):
    """Return a request's body, and the length of its JSON; `changes` are of the input."""
    told = {"name": "image", "datatype": "FP32", "shape": list(images.shape)}
    told |= {"parameters": {"binary_data_size": images.nbytes}, **changes}
    head = json.dumps({"inputs": [told], "parameters": {"binary_data_output": True}}).encode()
    return head + images.tobytes(), len(head)


def with_data(data, shape=(1, 3, 1, 1), datatype="FP32", **more):
    told = {"name": "image", "datatype": datatype, "shape": list(shape), "data": data}
    return json.dumps({"inputs": [told], **more}).encode()


ONE = np.full((1, 3, 2, 2), 0.5, np.float32)


@pytest.mark.parametrize(
    ("content", "length", "status", "says"),
    [
        (*body(ONE, name="picture"), 400, "'picture'"),
        (*body(ONE, datatype="FP64"), 400, "datatype 'FP64'"),
        (*body(ONE, datatype="UINT8"), 400, "UINT8 of shape"),
        (*body(ONE, shape=[1, 3, 2]), 400, "of shape [1, 3, 2]"),
        (*body(ONE, shape=[1, 3, 0, 2]), 400, "of shape [1, 3, 0, 2]"),
        (*body(ONE, shape=[1, 3, -2, -2]), 400, "of shape"),
        (*body(ONE, shape=[1, 4, 2, 2]), 400, "of shape [1, 4, 2, 2]"),
        (*body(ONE, shape=[1, 3, 2, 3]), 400, "48 bytes, 72 expected"),
        (*body(ONE, shape=[1, 3, 200, 200]), 422, "megapixels"),
        (*body(ONE, shape=[1, 3, 10**30, 1]), 400, "shape"),
        (*body(ONE, parameters={"binary_data_size": 47}), 400, "binary_data_size 47, but 48 bytes"),
        (*body(ONE, parameters={}), 400, "48 bytes follow"),
        (*body(ONE, parameters={"shared_memory_region": "a"}), 400, "shared_memory_region"),
        (*body(ONE, data=[1]), 400, "both data and binary_data_size"),
        (body(ONE)[0][:-1], body(ONE)[1], 400, "but 47 bytes follow"),
        (body(ONE)[0], 100_000, 400, "at most"),
        (body(ONE)[0], "-1", 400, "at most"),
        (body(ONE)[0], "a", 400, "at most"),
        (body(ONE)[0], None, 400, "JSON"),
        (*body(ONE * np.nan), 422, "NaN"),
        (*body(ONE * np.inf), 422, "infinite"),
        (*body(ONE * 255), 422, "values from 127.5 to 127.5"),
        (b"", None, 400, "JSON"),
        (b"[" * 100_000, None, 400, "JSON"),
        (b"{}", None, 400, "inputs"),
        (b'{"inputs": []}', None, 400, "0 inputs"),
        (b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 3, 1, 1]}]}', None, 400, "neither"),
        (with_data([0.5] * 2), None, 400, "2 numbers, 3 expected"),
        (with_data([[0.5], [0.5, 0.5]]), None, 400, "no array"),
        (with_data(["0.5"] * 3), None, 400, "no numbers"),
        (with_data([None] * 3), None, 400, "no numbers"),
        (with_data([1e300] * 3), None, 422, "infinite"),
        (with_data([10**40] * 3), None, 400, "no numbers"),
        (with_data([256] * 3, (1, 1, 1, 3), "UINT8"), None, 400, "0 to 255"),
        (with_data([0.5] * 3, (1, 1, 1, 3), "UINT8"), None, 400, "UINT8"),
        (with_data([0.5] * 3, outputs=[{"name": "other"}]), None, 400, "'other'"),
        (with_data([0.5] * 3, parameters={"strength": 2}), None, 422, "0 to 1"),
        (with_data([0.5] * 3, parameters={"strength": [10**4000]}), None, 422, "0 to 1"),
        (with_data([0.5] * 3, parameters={"timeout": 0.5}), None, 400, "microseconds"),
        (with_data([0.5] * 3, parameters={"timeout": 10**400}), None, 400, "microseconds"),
        (with_data([0.5] * 3, id=3), None, 400, "id"),
        (b"x" * 300_001, None, 413, "300000 bytes"),
    ],
)
def test_what_is_wrong_is_one_line(client, content, length, status, says):
    answer = client.post(INFER, content=content, headers={} if length is None else {LENGTH: str(length)})
    assert answer.status_code == status, answer.text
    line = answer.json()["error"]
    assert says in line
    assert "\n" not in line
    assert len(line) < 300


def test_other_models_and_versions_are_not_found(client):
    for path in ("/v2/models/other", "/v2/models/unblur/versions/8", "/v2/models/other/ready"):
        assert client.get(path).status_code == 404
    for path in ("/v2/models/other/infer", "/v2/models/unblur/versions/6/infer"):
        assert client.post(path, content=with_data([0.5] * 3)).status_code == 404


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [
        ("gzip", gzip.compress(bytes(1 << 24)), 413),
        ("deflate", zlib.compress(bytes(1 << 24)), 413),
        ("gzip", gzip.compress(with_data([0.5] * 3))[:-9], 400),
        ("gzip", b"no gzip", 400),
        ("br", b"", 400),
        ("gzip", gzip.compress(with_data([0.5] * 3)), 200),
    ],
    ids=["gzip-large", "deflate-large", "gzip-cut", "gzip-none", "br", "gzip"],
)
def test_what_is_unpacked_is_held_to_the_same_limit(client, encoding, content, status):
    assert client.post(INFER, content=content, headers={"content-encoding": encoding}).status_code == status


@pytest.mark.property
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_body_is_never_a_fault_of_the_server(client, data):
    content, length = body(ONE)
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        cut = data.draw(st.integers(0, 8))
        changed[at : at + cut] = data.draw(st.binary(max_size=8))
    if data.draw(st.booleans()):
        length += data.draw(st.integers(-20, 60))
    headers = {LENGTH: str(length)} if data.draw(st.booleans()) else {}
    answer = client.post(INFER, content=bytes(changed), headers=headers)
    assert answer.status_code in (200, 400, 422), answer.text
    if answer.status_code == 200:
        values = np.frombuffer(answer.content[int(answer.headers[LENGTH]) :], np.float32)
        assert np.isfinite(values).all()
    else:
        assert "\n" not in answer.json()["error"]


def test_the_timeout_and_the_places_are_those_of_the_desk(app_of, slow):
    app = app_of(slow, waiting=0)
    client = TestClient(app)
    many, length = body(np.full((100, 3, 2, 2), 0.5, np.float32))  # 20 s
    late = many.replace(b'"binary_data_output"', b'"timeout": 600000, "binary_data_output"')
    answers = []
    headers = {LENGTH: str(length + len(late) - len(many))}
    thread = threading.Thread(target=lambda: answers.append(client.post(INFER, content=late, headers=headers)))
    thread.start()
    assert slow.begun.wait(20)
    refused = client.post(INFER, content=with_data([0.5] * 3))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    thread.join()
    assert answers[0].status_code == 503
    assert "0.6 s" in answers[0].json()["error"]
    until = time.monotonic() + 20
    while app.state.desk.inside and time.monotonic() < until:
        time.sleep(0.05)
    assert app.state.desk.inside == 0
    assert slow.calls < 100


def test_keys_log_and_counters_are_those_of_the_server(model, caplog):
    caplog.set_level("INFO")
    app = make_app(Served(Loaded(model)), Settings(keys=(hashlib.sha256(b"open").hexdigest(),)))
    client, key = TestClient(app), {"x-api-key": "open"}
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").status_code == client.get("/v2/models/unblur").status_code == 401
    assert client.get("/v2/models/unblur", headers=key).json()["versions"] == []
    assert client.get("/v2/models/unblur/versions/1", headers=key).status_code == 404
    for data, status in (([0.5] * 3, 200), ([2] * 3, 422)):
        assert client.post(INFER, content=with_data(data), headers=key).status_code == status
    line = next(record.about for record in caplog.records if getattr(record, "about", {}).get("path") == INFER)
    assert (line["status"], line["format"], line["sha256"]) == (200, "FP32", model.sha256)
    metrics = client.get("/metrics", headers=key).text
    for status in (200, 422):
        assert f'unblur_requests_total{{path="/v2/models/{{name}}/infer",status="{status}"}} 1.0' in metrics


def test_photographs_and_tensors_agree(client, make_photo):
    photo = make_photo(30, 40)
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "PNG")
    by_file = np.asarray(Image.open(io.BytesIO(client.post("/v1/restore", content=stream.getvalue()).content)))
    answer = client.post(INFER, content=with_data(photo.tolist(), (1, 30, 40, 3), "UINT8"))
    np.testing.assert_array_equal(np.reshape(answer.json()["outputs"][0]["data"], photo.shape), by_file)


def test_work_ends_when_the_client_goes_away(serve, app_of, slow):
    app = app_of(slow)
    _, address = serve(app)
    content, length = body(np.full((100, 3, 2, 2), 0.5, np.float32))  # 20 s
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{address}{INFER}", content=content, headers={LENGTH: str(length)}, timeout=0.6)
    until = time.monotonic() + 20
    while app.state.desk.inside and time.monotonic() < until:
        time.sleep(0.05)
    assert app.state.desk.inside == 0
    assert 0 < slow.calls < 100
