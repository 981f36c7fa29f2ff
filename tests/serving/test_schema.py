"""What schemathesis makes of the server's OpenAPI: requests that it allows and that it does not, on a real server."""

from collections import Counter
from contextlib import nullcontext, suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import unblur
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings

EACH = 8  # requests an operation and mode
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def api(box_onnx, serve):
    model = unblur.load(box_onnx(), runtime="onnxruntime", threads=1)
    limits = Settings(max_bytes=1 << 16, max_pixels=10_000, job_bytes=1 << 16, jobs=64, keep_results=0.2, seconds=10)
    _, address = serve(make_app(Served(Loaded(model)), limits))
    return schemathesis.openapi.from_url(f"{address}/openapi.json")


@pytest.mark.slow
def test_every_answer_is_one_that_openapi_tells(api):
    """No 500, as it tells of none, and no other status, type or form of an answer than it tells of."""
    codes = Counter()
    for found in api.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(max_examples=EACH, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(mode))
            def ask(case):
                response = case.call(timeout=30)
                codes[case.operation.label, response.status_code] += 1
                case.validate_response(response, checks=CHECKS)

            # Of an address that takes nothing there is nothing wrong to send.
            with suppress(Unsatisfiable) if mode == GenerationMode.NEGATIVE else nullcontext():
                ask()
    assert codes.total() > 150
    assert {status for _, status in codes} >= {200, 202, 400, 404, 422}
    assert {name for name, _ in codes} >= {"POST /v1/restore", "POST /v1/jobs", "POST /v1/explain", "GET /v1/model"}
