"""Traces, read from memory and by a collector of OTLP on this machine."""

import gzip
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from PIL import Image

from unblur.errors import UsageError
from unblur.library import Model
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings
from unblur.serving.tracing import Traces, traces_of_environment

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # of the example in W3C's Trace Context
CALLER_TRACE, CALLER_SPAN = CALLER[3:35], CALLER[36:52]
CALL = "gRPC /inference.GRPCInferenceService/ModelInfer"


class Same:
    """A restorer that gives back what it gets, or fails."""

    name, sha256, task = "same", "a" * 64, "image"
    error = None

    def __call__(self, batch):
        if self.error:
            raise self.error
        return batch


@pytest.fixture
def photo(make_photo):
    stream = io.BytesIO()
    Image.fromarray(make_photo()).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def restorer():
    return Same()


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def client(restorer, spans):
    app = make_app(Served(Loaded(Model(restorer))), Settings(traces=traced(spans)))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def traced(spans):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Traces(provider)


def by_name(spans):
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_request_is_a_part_of_the_callers_trace_and_has_its_own_parts(client, spans, photo):
    headers = {"traceparent": CALLER, "x-request-id": "mine-1"}
    assert client.post("/v1/restore?format=jpg", content=photo, headers=headers).status_code == 200
    found = by_name(spans)
    assert set(found) == {"POST /v1/restore", "queue", "decode", "restore", "encode"}
    request = found["POST /v1/restore"]
    assert f"{request.context.trace_id:032x}" == CALLER_TRACE
    assert f"{request.parent.span_id:016x}" == CALLER_SPAN
    assert {found[name].parent.span_id for name in found if name[0] != "P"} == {request.context.span_id}
    in_order = ["queue", "decode", "restore", "encode"]
    assert sorted(in_order, key=lambda name: found[name].start_time) == in_order
    assert all(found[a].end_time <= found[b].start_time for a, b in itertools.pairwise(in_order))
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/restore",
        "http.response.status_code": 200,
        "unblur.request": "mine-1",
        "unblur.sha256": "a" * 64,
        "unblur.megapixels": 0.012,
        "unblur.format": "jpg",
    }


def test_a_job_is_a_part_of_the_request_that_began_it_and_its_address_stays_secret(client, spans, photo):
    job = client.post("/v1/jobs", content=photo, headers={"x-request-id": "mine-2"}).json()
    while client.get(job["address"]).json()["status"] not in ("done", "failed"):
        time.sleep(0.02)
    while "job" not in (found := by_name(spans)):
        time.sleep(0.02)
    assert found["job"].parent.span_id == found["POST /v1/jobs"].context.span_id
    assert found["restore"].parent.span_id == found["job"].context.span_id
    assert found["job"].attributes["unblur.request"] == "mine-2"
    assert found["job"].attributes["unblur.status"] == "done"
    assert job["id"] not in "".join(span.to_json() for span in spans.get_finished_spans())


def test_a_call_over_grpc_is_a_part_of_the_callers_trace_too(restorer, spans, serve):
    server, _ = serve(make_app(Served(Loaded(Model(restorer))), Settings(traces=traced(spans))), rpc=True)
    given = triton.InferInput("image", [1, 8, 8, 3], "UINT8")
    given.set_data_from_numpy(np.zeros((1, 8, 8, 3), np.uint8))
    with triton.InferenceServerClient(server.address) as client:
        client.is_server_live()
        client.infer("unblur", [given], headers={"traceparent": CALLER, "x-request-id": "mine-3"})
    while CALL not in (found := by_name(spans)):
        time.sleep(0.02)
    assert set(found) == {CALL, "queue", "decode", "restore", "encode"}
    assert f"{found[CALL].context.trace_id:032x}" == CALLER_TRACE
    assert {found[name].parent.span_id for name in found if name != CALL} == {found[CALL].context.span_id}
    assert found[CALL].attributes["unblur.request"] == "mine-3"


def test_what_fails_is_marked_without_its_words(client, restorer, spans, photo):
    restorer.error = RuntimeError("what stands on the photograph")
    assert client.post("/v1/restore", content=photo).status_code == 500
    found = by_name(spans)
    assert found["POST /v1/restore"].status.status_code == StatusCode.ERROR
    assert "photograph" not in "".join(span.to_json() for span in found.values())


def test_who_only_looks_whether_the_server_is_there_leaves_no_trace(client, spans):
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
    assert spans.get_finished_spans() == ()


def test_without_an_endpoint_there_are_none_and_only_http_is_spoken():
    assert traces_of_environment({})._tracer is None
    with pytest.raises(UsageError, match="grpc: traces are sent by http/protobuf alone"):
        traces_of_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


@pytest.mark.slow
def test_a_collector_gets_what_a_server_has_done(box_onnx, photo, port, tmp_path):
    got = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_):
            pass

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
    command = [sys.executable, "-m", "unblur", "serve", "--model", str(box_onnx()), "--port", str(port)]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
                    break
                except httpx.HTTPError:
                    assert server.poll() is None
                    assert time.monotonic() < end
                    time.sleep(0.1)
            assert httpx.post(f"http://127.0.0.1:{port}/v1/restore", content=photo, timeout=60).status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
            log, _ = server.communicate(timeout=60)
    collector.shutdown()
    assert server.returncode == 0
    assert {path for path, _ in got} == {"/v1/traces"}
    sent = [ExportTraceServiceRequest.FromString(body) for _, body in got]
    (resource,) = {
        (each.key, each.value.string_value)
        for one in sent
        for of in one.resource_spans
        for each in of.resource.attributes
        if each.key == "service.name"
    }
    assert resource == ("service.name", "unblur")
    names = {span.name for one in sent for of in one.resource_spans for scope in of.scope_spans for span in scope.spans}
    assert names == {"POST /v1/restore", "queue", "decode", "restore", "encode"}
    assert not [line for line in map(json.loads, log.splitlines()) if line["level"] in ("warning", "error")]
