"""The Open Inference Protocol (KServe V2) over gRPC, in the event loop of the HTTP server and at its desk."""

import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from starlette.exceptions import HTTPException

from unblur.errors import UnblurError, one_line
from unblur.serving.body import GONE
from unblur.serving.desk import Desk
from unblur.serving.door import FAULT, FAULTS
from unblur.serving.protocol.inference import SERVER, Answered, Asked, described, infer, named
from unblur.serving.protocol.messages import SERVICE, message, methods
from unblur.serving.protocol.tensor import INPUT, OUTPUT, Tensor
from unblur.serving.served import Served
from unblur.serving.tracing import Traces, trace_request
from unblur.serving.watching import Watch, request_id

LOG = logging.getLogger("unblur.serving")
OPEN = ("ServerLive", "ServerReady")
MARGIN = 1 << 16  # bytes of a message beside its tensors
LARGEST = (1 << 31) - 1  # bytes of a message that gRPC can have
IN_LINE = 16  # calls that are taken beside those that have a place at the desk, such as for metadata
CONTENTS = {"FP32": "fp32_contents", "UINT8": "uint_contents"}

Call = Callable[[Any, Any, dict[str, Any]], Awaitable[Any]]  # message, context, what the log says beside
Code = grpc.StatusCode
CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    404: Code.NOT_FOUND,
    422: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    503: Code.DEADLINE_EXCEEDED,
    GONE: Code.CANCELLED,
    500: Code.INTERNAL,
}


def make_rpc(served: Served, desk: Desk, watch: Watch) -> Any:  # noqa: ANN401 (grpc has no types)
    """Return a gRPC server that has no address yet; to be called in the event loop that it runs in."""
    settings = desk.settings
    options = {
        "grpc.max_receive_message_length": min(settings.max_bytes + MARGIN, LARGEST),
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,  # a port that another server has is refused
        "grpc.compression_enabled_algorithms_bitset": 1,  # none: a small message could become any size
    }
    at_once = settings.workers + settings.waiting + IN_LINE
    server = grpc.aio.server(options=list(options.items()), maximum_concurrent_rpcs=at_once)
    server.add_generic_rpc_handlers([_Handler(_Calls(served, desk, watch).of_names(), desk, watch)])
    return server


class _Calls:
    """What answers each method."""

    def __init__(self, served: Served, desk: Desk, watch: Watch) -> None:
        self.served, self.desk, self.watch = served, desk, watch

    def of_names(self) -> dict[str, Call]:
        """Return them by the method's name."""
        return {
            "ServerLive": self.live,
            "ServerReady": self.ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server,
            "ModelMetadata": self.model,
            "ModelInfer": self.infer,
        }

    async def live(self, asked: Any, context: Any, told: dict[str, Any]) -> Any:  # noqa: ANN401
        return message("ServerLiveResponse")(live=True)

    async def ready(self, asked: Any, context: Any, told: dict[str, Any]) -> Any:  # noqa: ANN401
        return message("ServerReadyResponse")(ready=True)

    async def model_ready(self, asked: Any, context: Any, told: dict[str, Any]) -> Any:  # noqa: ANN401
        named(self.served, asked.name, asked.version)
        return message("ModelReadyResponse")(ready=True)

    async def server(self, asked: Any, context: Any, told: dict[str, Any]) -> Any:  # noqa: ANN401
        return message("ServerMetadataResponse")(**SERVER)

    async def model(self, asked: Any, context: Any, told: dict[str, Any]) -> Any:  # noqa: ANN401
        return message("ModelMetadataResponse")(**described(named(self.served, asked.name, asked.version)))

    async def infer(self, asked: Any, context: Any, told: dict[str, Any]) -> Any:  # noqa: ANN401
        now = named(self.served, asked.model_name, asked.model_version)
        with self.desk.place() as place:
            taken = _taken(asked)
            limits = [each for each in (taken.seconds, context.time_remaining()) if each is not None]

            def work(stop: threading.Event) -> tuple[Answered, Any]:
                answered = infer(now, taken, self.desk.settings, stop)
                with self.desk.settings.traces.span("encode"):
                    return answered, _response(answered, raw=bool(asked.raw_input_contents))

            # A client that goes away or has no time left cancels the call.
            answered, response = await place.do(work, min(limits, default=None))
        self.watch.noted(answered.notes)
        told |= answered.told
        return response


@dataclass
class _Handler:
    """Finds what answers a call, and stands around it as the door does around a request over HTTP."""

    calls: dict[str, Call]
    desk: Desk
    watch: Watch

    def service(self, details: Any) -> Any:  # noqa: ANN401
        """Return what answers a call, None for a method that is not known."""
        path, metadata = details.method, dict(details.invocation_metadata)
        name = path.removeprefix(f"/{SERVICE}/")
        if name not in self.calls:
            return None
        identity = request_id(_text(metadata.get("x-request-id", "")))
        key = _text(metadata.get("x-api-key", "")) or _text(metadata.get("authorization", "")).removeprefix("Bearer ")
        taken, _ = methods()[name]
        traces = Traces() if name in OPEN else self.desk.settings.traces

        async def guarded(content: bytes, context: Any) -> Any:  # noqa: ANN401
            start, status, told = time.perf_counter(), GONE, dict[str, Any]()
            with traces.span("gRPC", metadata) as span:
                try:
                    answer = await self.calls[name](_parsed(taken, content), context, told)
                    status = 200
                except Exception as error:
                    status, line = _as_line(error)
                    fault = isinstance(error, FAULTS)
                    if fault or status == 500:
                        LOG.exception("a call has failed", extra={"about": {"request": identity}})
                    await context.abort(Code.UNAVAILABLE if fault else CODES[status], line)
                else:
                    return answer
                finally:
                    self._answered(path, status, time.perf_counter() - start, identity, told)
                    trace_request(span, "gRPC", path, status, {"request": identity, **told})

        async def refused(messages: Any, context: Any) -> None:  # noqa: ANN401 (of a stream, so that none is read)
            self._answered(path, 401, 0.0, identity, {})
            await context.abort(CODES[401], "no known API key; send it as x-api-key or authorization: Bearer")

        if name not in OPEN and not self.desk.settings.lets_in(key):
            return grpc.stream_unary_rpc_method_handler(refused)
        return grpc.unary_unary_rpc_method_handler(guarded, None, lambda answer: answer.SerializeToString())

    def _answered(self, path: str, status: int, seconds: float, identity: str, told: dict[str, Any]) -> None:
        self.watch.answered(path, status, seconds)
        level = logging.DEBUG if path.endswith(OPEN) else logging.INFO
        about = {"request": identity, "method": "gRPC", "path": path, "status": status, "seconds": round(seconds, 4)}
        LOG.log(level, "answered", extra={"about": about | told})


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else ""


def _as_line(error: Exception) -> tuple[int, str]:
    """Return what an error is over HTTP, and its line."""
    if isinstance(error, HTTPException):
        return error.status_code, one_line(str(error.detail))
    if isinstance(error, FAULTS):
        return 503, FAULT
    if isinstance(error, UnblurError):
        return 422, one_line(str(error))
    return 500, "the server has failed; its log says why"


def _parsed(kind: Any, content: bytes) -> Any:  # noqa: ANN401
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise HTTPException(400, f"the message is no {kind.DESCRIPTOR.name}, or damaged") from error


def _taken(asked: Any) -> Asked:  # noqa: ANN401 (a ModelInferRequest)
    """Return what a message asks for; raises as `read_request` of REST does."""
    if len(asked.inputs) != 1:
        raise HTTPException(400, f"{len(asked.inputs)} inputs; expected one, {INPUT!r}")
    given, raw = asked.inputs[0], asked.raw_input_contents
    if len(raw) > 1 or (raw and given.HasField("contents")):
        raise HTTPException(400, f"{INPUT}: expected contents, or one of raw_input_contents, but not both")
    if "shared_memory_region" in given.parameters:
        raise HTTPException(400, "parameter 'shared_memory_region': not supported")
    content = raw[0] if raw else getattr(given.contents, CONTENTS.get(given.datatype, "fp32_contents"))
    tensor = Tensor(given.name, given.datatype, tuple(given.shape), content)
    parameters = {name: _value(each) for name, each in asked.parameters.items()}
    return Asked.by(tensor, parameters, [output.name for output in asked.outputs], asked.id)


def _value(parameter: Any) -> Any:  # noqa: ANN401
    chosen = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, chosen) if chosen else None


def _response(answered: Answered, *, raw: bool) -> Any:  # noqa: ANN401
    values, datatype = answered.values, answered.asked.tensor.datatype
    response = message("ModelInferResponse")(
        model_name=SERVER["name"], model_version=answered.by.version, id=answered.asked.id
    )
    for name, text in answered.parameters.items():
        response.parameters[name].string_param = text
    output = response.outputs.add(name=OUTPUT, datatype=datatype, shape=values.shape)
    if raw:
        response.raw_output_contents.append(values.tobytes())
    else:
        getattr(output.contents, CONTENTS[datatype]).extend(values.ravel().tolist())
    return response
