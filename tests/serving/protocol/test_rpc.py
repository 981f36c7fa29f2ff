"""The Open Inference Protocol over gRPC: NVIDIA's client on a real server, and messages that nobody should send."""

import hashlib
import signal
import subprocess
import sys
import time

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from unblur.errors import BrokenModelError
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings

INFER = "/inference.GRPCInferenceService/ModelInfer"
Code = grpc.StatusCode


@pytest.fixture
def client_of(serve):
    """`client_of(app)`: NVIDIA's client of a running server."""
    clients = []

    def start(app):
        server, _ = serve(app, rpc=True)
        clients.append(triton.InferenceServerClient(server.address))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def put_in(images):
    kind = {"float32": "FP32", "uint8": "UINT8", "float64": "FP64"}[str(images.dtype)]
    given = triton.InferInput("image", images.shape, kind)
    given.set_data_from_numpy(images)
    return [given]


def typed(images, **changes):
    """Return a request whose image is numbers, not bytes."""
    contents = {"fp32_contents": images.ravel().tolist()}
    told = {"name": "image", "datatype": "FP32", "shape": images.shape, "contents": contents} | changes
    return service_pb2.ModelInferRequest(model_name="unblur", inputs=[told])


def test_what_the_server_says_of_itself(client_of, app):
    client = client_of(app)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("unblur", "7")
    assert client.get_server_metadata(as_json=True)["name"] == "unblur"
    told = client.get_model_metadata("unblur", as_json=True)
    assert told["versions"] == ["7"]
    assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["-1", "3", "-1", "-1"]}]
    assert told["outputs"] == [{"name": "restored", "datatype": "FP32", "shape": ["-1", "3", "-1", "-1"]}]
    for name, version in (("other", ""), ("unblur", "8")):
        with pytest.raises(InferenceServerException, match="NOT_FOUND"):
            client.get_model_metadata(name, version)


def test_values_are_those_of_the_bare_restorer(client_of, app, model, images, make_photo):
    client = client_of(app)
    answer = client.infer("unblur", put_in(images), request_id="mine")
    expected = np.concatenate([model.restorer(image[None]) for image in images])
    np.testing.assert_array_equal(answer.as_numpy("restored"), expected)
    told = answer.get_response()
    assert (told.model_name, told.model_version, told.id) == ("unblur", "7", "mine")
    assert told.parameters["sha256"].string_param == model.sha256
    photo = make_photo(50, 70)
    answer = client.infer("unblur", put_in(photo[None]), parameters={"strength": "0.5"})
    np.testing.assert_array_equal(answer.as_numpy("restored")[0], model(photo, strength=0.5))


def test_what_comes_as_numbers_goes_back_as_numbers(serve, app, model, images, make_photo):
    server, _ = serve(app, rpc=True)
    photo = make_photo(20, 30)
    bytes_ = {"datatype": "UINT8", "shape": (1, *photo.shape), "contents": {"uint_contents": photo.ravel().tolist()}}
    with grpc.insecure_channel(server.address) as channel:
        ask = channel.unary_unary(
            INFER, service_pb2.ModelInferRequest.SerializeToString, service_pb2.ModelInferResponse.FromString
        )
        (output,) = ask(typed(images[:1])).outputs
        values = np.array(output.contents.fp32_contents, np.float32).reshape(output.shape)
        np.testing.assert_array_equal(values, model.restorer(images[:1]))
        (output,) = ask(typed(photo, **bytes_)).outputs
        np.testing.assert_array_equal(np.reshape(output.contents.uint_contents, photo.shape), model(photo))


ONE = np.full((1, 3, 2, 2), 0.5, np.float32)


@pytest.mark.parametrize(
    ("images", "options", "code", "says"),
    [
        (ONE.astype(np.float64), {}, Code.INVALID_ARGUMENT, "datatype 'FP64'"),
        (ONE[0], {}, Code.INVALID_ARGUMENT, "of shape [3, 2, 2]"),
        (np.zeros((1, 4, 2, 2), np.float32), {}, Code.INVALID_ARGUMENT, "of shape [1, 4, 2, 2]"),
        (np.zeros((1, 3, 0, 2), np.float32), {}, Code.INVALID_ARGUMENT, "of shape [1, 3, 0, 2]"),
        (ONE * np.nan, {}, Code.INVALID_ARGUMENT, "NaN"),
        (ONE * np.inf, {}, Code.INVALID_ARGUMENT, "infinite"),
        (ONE * 255, {}, Code.INVALID_ARGUMENT, "values from 127.5"),
        (np.zeros((1, 150, 150, 3), np.uint8), {}, Code.INVALID_ARGUMENT, "megapixels"),
        (np.zeros((1, 3, 200, 200), np.float32), {}, Code.RESOURCE_EXHAUSTED, "larger than max"),
        (ONE, {"model_name": "other"}, Code.NOT_FOUND, "'other'"),
        (ONE, {"model_version": "8"}, Code.NOT_FOUND, "version '8'"),
        (ONE, {"parameters": {"strength": "2"}}, Code.INVALID_ARGUMENT, "0 to 1"),
        (ONE, {"outputs": [triton.InferRequestedOutput("other")]}, Code.INVALID_ARGUMENT, "'other'"),
        (ONE, {"compression_algorithm": "gzip"}, Code.UNIMPLEMENTED, "disabled"),
    ],
)
def test_what_is_wrong_is_one_line(client_of, app, images, options, code, says):
    with pytest.raises(InferenceServerException) as caught:
        client_of(app).infer(**{"model_name": "unblur", "inputs": put_in(images), **options})
    assert caught.value.status() == str(code)
    assert says in caught.value.message()
    assert "\n" not in caught.value.message()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (service_pb2.ModelInferRequest(model_name="unblur"), "0 inputs"),
        (typed(ONE, name="picture"), "'picture'"),
        (typed(ONE, contents={}), "0 numbers, 12 expected"),
        (typed(ONE, datatype="UINT8", shape=(1, 2, 2, 3)), "0 numbers, 12 expected"),
        (typed(ONE, shape=(1, 3, 2, -2)), "of shape"),
        (typed(ONE, shape=(2**62, 3, 2**62, 2**62)), "megapixels"),
        (typed(ONE, parameters={"shared_memory_region": {"string_param": "a"}}), "shared_memory_region"),
    ],
)
def test_messages_that_no_client_sends(serve, app, request_, says):
    server, _ = serve(app, rpc=True)
    with grpc.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT") as caught:
            channel.unary_unary(INFER)(request_.SerializeToString())
        assert says in caught.value.details()
        both = service_pb2.ModelInferRequest.FromString(request_.SerializeToString())
        both.raw_input_contents.extend([b"", b""])
        with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
            channel.unary_unary(INFER)(both.SerializeToString())
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            channel.unary_unary(INFER.replace("ModelInfer", "RepositoryIndex"))(b"")


@pytest.mark.property
def test_a_damaged_message_is_never_a_fault_of_the_server(serve, app):
    server, _ = serve(app, rpc=True)
    whole = triton.service_pb2.ModelInferRequest(
        model_name="unblur",
        inputs=[{"name": "image", "datatype": "FP32", "shape": ONE.shape}],
        raw_input_contents=[ONE.tobytes()],
    ).SerializeToString()
    with grpc.insecure_channel(server.address) as channel:
        ask = channel.unary_unary(INFER, None, service_pb2.ModelInferResponse.FromString)

        @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(data=st.data())
        def damaged(data):
            changed = bytearray(whole)
            for _ in range(data.draw(st.integers(1, 4))):
                at, cut = data.draw(st.integers(0, len(changed))), data.draw(st.integers(0, 8))
                changed[at : at + cut] = data.draw(st.binary(max_size=8))
            try:
                (values,) = ask(bytes(changed)).raw_output_contents
                assert np.isfinite(np.frombuffer(values, np.float32)).all()
            except grpc.RpcError as error:
                if error.code() not in (Code.INVALID_ARGUMENT, Code.NOT_FOUND):
                    raise

        damaged()


@pytest.mark.parametrize("ending", ["deadline", "cancelled", "timeout"])
def test_work_ends_when_nobody_waits_for_it(client_of, app_of, ending, slow):
    app = app_of(slow, waiting=0)
    client, answers = client_of(app), []
    many = put_in(np.full((100, 3, 2, 2), 0.5, np.float32))  # 20 s
    times = {"deadline": {"client_timeout": 0.8}, "timeout": {"timeout": 800_000}}
    call = client.async_infer("unblur", many, lambda result, error: answers.append(error), **times.get(ending, {}))
    assert slow.begun.wait(20)
    with pytest.raises(InferenceServerException, match=r"RESOURCE_EXHAUSTED.*too many"):
        client.infer("unblur", put_in(ONE))
    if ending == "cancelled":
        call.cancel()
    until = time.monotonic() + 20
    while (app.state.desk.inside or not answers) and time.monotonic() < until:
        time.sleep(0.05)
    assert app.state.desk.inside == 0
    assert slow.calls < 50
    assert answers[0].status() == ("StatusCode.CANCELLED" if ending == "cancelled" else str(Code.DEADLINE_EXCEEDED))


def test_keys_log_and_counters_are_those_of_the_server(serve, model, caplog):
    caplog.set_level("INFO")
    app = make_app(Served(Loaded(model)), Settings(keys=(hashlib.sha256(b"open").hexdigest(),)))
    server, address = serve(app, rpc=True)
    with triton.InferenceServerClient(server.address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        for headers in ({}, {"x-api-key": "shut"}):
            with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
                client.infer("unblur", put_in(ONE), headers=headers)
        for headers in ({"x-api-key": "open", "x-request-id": "trace-1"}, {"authorization": "Bearer open"}):
            client.infer("unblur", put_in(ONE), headers=headers)
    lines = [each.about for each in caplog.records if getattr(each, "about", {}).get("path") == INFER]
    assert [line["status"] for line in lines] == [401, 401, 200, 200]
    assert (lines[2]["request"], lines[2]["sha256"], lines[2]["format"]) == ("trace-1", model.sha256, "FP32")
    metrics = httpx.get(f"{address}/metrics", headers={"x-api-key": "open"}).text
    for status in (200, 401):
        assert f'unblur_requests_total{{path="{INFER}",status="{status}"}} 2.0' in metrics


def test_a_fault_of_the_server_is_one_line(client_of, app_of):
    def broken(batch):
        raise RuntimeError("/a/path of the server")

    broken.name, broken.sha256, broken.task = "broken", "0" * 64, "image"
    with pytest.raises(InferenceServerException) as caught:
        client_of(app_of(broken)).infer("unblur", put_in(ONE))
    assert caught.value.status() == str(Code.INTERNAL)
    assert caught.value.message() == "the server has failed; its log says why"


@pytest.mark.parametrize("error", [BrokenModelError("/a/path: cannot be compiled"), MemoryError()])
def test_what_machine_or_model_cannot_do_is_no_mistake_of_the_client(client_of, app_of, caplog, error):
    def broken(batch):
        raise error

    broken.name, broken.sha256, broken.task = "broken", "0" * 64, "image"
    with pytest.raises(InferenceServerException) as caught:
        client_of(app_of(broken)).infer("unblur", put_in(ONE))
    assert caught.value.status() == str(Code.UNAVAILABLE)
    assert caught.value.message().startswith("the server could not do this, its log says why")
    assert any(record.exc_info for record in caplog.records if record.message == "a call has failed")


def test_an_upload_may_be_larger_than_a_message_of_grpc_can_be(client_of, app_of, model):
    assert client_of(app_of(model.restorer, max_bytes=100 << 40)).is_server_live()


def test_a_stopping_server_finishes_what_is_under_way(serve, app_of, slow):
    server, _ = serve(app_of(slow), rpc=True)
    answers = []
    with triton.InferenceServerClient(server.address) as client:
        client.async_infer(
            "unblur", put_in(np.repeat(ONE, 10, axis=0)), lambda result, error: answers.append((result, error))
        )
        assert slow.begun.wait(20)
        server.should_exit = True
        until = time.monotonic() + 20
        while not answers and time.monotonic() < until:
            time.sleep(0.05)
    result, error = answers[0]
    assert error is None
    assert result.as_numpy("restored").shape == (10, 3, 2, 2)


@pytest.mark.slow
def test_a_process_answers_both_and_ends_with_0(box_onnx, model, images, free_port):
    port, rpc = free_port(), free_port()
    command = [sys.executable, "-m", "unblur.commands.serve", "--model", box_onnx(), "--port", port]
    command += ["--grpc-port", rpc, "--threads", "1"]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        with triton.InferenceServerClient(f"127.0.0.1:{rpc}") as client:
            for _ in range(300):
                try:
                    assert client.is_server_live()
                    break
                except InferenceServerException:
                    assert process.poll() is None, process.stderr.read()
                    time.sleep(0.1)
            answer = client.infer("unblur", put_in(images)).as_numpy("restored")
            assert httpx.get(f"http://127.0.0.1:{port}/v2/health/live").json() == {"live": True}
            np.testing.assert_allclose(answer, model.restorer(images), atol=1e-2)  # whichever runtime it has taken
            second = [*command[:-5], "0", *command[-4:]]
            done = subprocess.run([*map(str, second)], capture_output=True, text=True)
            assert done.returncode == 1
            assert done.stderr.startswith(f"error: 127.0.0.1:{rpc}: cannot listen there")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read().count("\n") == 1
    finally:
        process.kill()
        process.wait()
