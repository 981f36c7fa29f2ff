"""The Open Inference Protocol (KServe V2) over REST, with its extension for binary tensors."""

import asyncio
import json
import threading
import zlib
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from unblur.serving.body import read_body
from unblur.serving.desk import Desk
from unblur.serving.protocol.inference import NAME, SERVER, Answered, Asked, described, infer, named
from unblur.serving.protocol.tensor import INPUT, OUTPUT, Tensor
from unblur.serving.responses import OF_UPLOADS, refusals
from unblur.serving.served import Served
from unblur.serving.watching import Watch

LENGTH = "inference-header-content-length"  # of the JSON, where binary tensors follow it
ENCODINGS = {"gzip": 31, "deflate": 15}  # as zlib's window says them
BINARY = "application/octet-stream"
PART = 1 << 16  # numbers that are written as text at once
ELSEWHERE = ("shared_memory_region", "classification")
TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string", "enum": [INPUT]},
        "datatype": {"type": "string", "enum": ["FP32", "UINT8"]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 4, "maxItems": 4},
        "data": {"type": "array", "items": {"type": "number"}},
        "parameters": {"type": "object"},
    },
}
BODY: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": TENSOR, "minItems": 1, "maxItems": 1},
    },
    "example": {"inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [1, 1, 2, 3], "data": [0, 9, 99, 5, 50, 0]}]},
}
INFER: dict[str, Any] = {  # of the address, for OpenAPI
    "response_class": Response,
    "responses": {
        200: {
            "description": "The output; binary tensors follow the JSON where they are asked for",
            "content": {"application/json": {"schema": {"type": "object"}}, BINARY: {"schema": {"type": "string"}}},
        },
        **refusals(400, 404, *OF_UPLOADS),
    },
    "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {"schema": BODY}}}},
}


Name = Annotated[str, Path(json_schema_extra={"enum": [NAME]})]  # others get 404


class _Input(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    datatype: str
    shape: list[Annotated[int, Field(ge=-(1 << 31), lt=1 << 31)]]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class _Output(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    parameters: dict[str, Any] = {}


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)
    id: str = ""
    parameters: dict[str, Any] = {}
    inputs: list[_Input]
    outputs: list[_Output] = []


def add_rest(app: FastAPI, served: Served, desk: Desk, watch: Watch) -> None:
    """Add the protocol's addresses to a server."""
    settings = desk.settings

    @app.get("/v2", responses=refusals(401))
    async def server() -> dict[str, Any]:
        return SERVER

    @app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.get("/v2/models/{name}/versions/{version}", responses=refusals(401, 404))
    @app.get("/v2/models/{name}", responses=refusals(401, 404))
    async def model(name: Name, version: str = "") -> dict[str, Any]:
        return described(named(served, name, version))

    @app.get("/v2/models/{name}/versions/{version}/ready", responses=refusals(401, 404))
    @app.get("/v2/models/{name}/ready", responses=refusals(401, 404))
    async def model_ready(name: Name, version: str = "") -> dict[str, Any]:
        named(served, name, version)
        return {"name": name, "ready": True}

    @app.post("/v2/models/{name}/versions/{version}/infer", **INFER)
    @app.post("/v2/models/{name}/infer", **INFER)
    async def model_infer(request: Request, name: Name, version: str = "") -> Response:
        now = named(served, name, version)
        with desk.place() as place:
            content = await read_body(request, settings)
            content = await asyncio.to_thread(_decoded, content, request.headers, settings.max_bytes)
            asked, binary = read_request(content, request.headers.get(LENGTH))

            def work(stop: threading.Event) -> tuple[Answered, Response]:
                answered = infer(now, asked, settings, stop)
                with settings.traces.span("encode"):
                    return answered, _response(answered, binary=binary)

            answered, response = await place.do(work, asked.seconds, request.is_disconnected)
        watch.noted(answered.notes)
        request.scope["unblur.told"] |= answered.told
        return response


def read_request(content: bytes, length: str | None) -> tuple[Asked, bool]:
    """Return what a body asks for, and whether the output goes back in binary.

    Args:
        content: JSON, followed by binary tensors.
        length: of the JSON in bytes, as the header says it; None where there is nothing else.

    Raises:
        HTTPException: 400 where it is not what the protocol says.
        UsageError: see `Asked.by`.
    """
    end = len(content)
    if length is not None:
        if not (length.isascii() and length.isdecimal() and len(length) < 20 and int(length) <= end):
            raise HTTPException(400, f"{LENGTH} {length[:20]!r}: expected at most the {end} bytes of the body")
        end = int(length)
    try:
        body = _Body.model_validate_json(content[:end])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise HTTPException(400, f"{where or 'body'}: {first['msg']}"[:200]) from error
    if len(body.inputs) != 1:
        raise HTTPException(400, f"{len(body.inputs)} inputs; expected one, {INPUT!r}")
    given = body.inputs[0]
    for parameters in (given.parameters, *(output.parameters for output in body.outputs)):
        if unknown := [each for each in ELSEWHERE if each in parameters]:
            raise HTTPException(400, f"parameter {unknown[0]!r}: not supported")
    tensor = Tensor(given.name, given.datatype, tuple(given.shape), _content(given, memoryview(content)[end:]))
    asked = Asked.by(tensor, body.parameters, [output.name for output in body.outputs], body.id)
    binary = body.parameters.get("binary_data_output") is True
    for output in body.outputs:
        binary = output.parameters.get("binary_data", binary) is True
    return asked, binary


def _content(given: _Input, rest: memoryview) -> memoryview | list[Any]:
    size = given.parameters.get("binary_data_size")
    if size is None:
        if len(rest):
            raise HTTPException(400, f"{len(rest)} bytes follow the JSON, of which no binary_data_size tells")
        if given.data is None:
            raise HTTPException(400, f"{INPUT}: has neither data nor binary_data_size")
        return given.data
    if given.data is not None:
        raise HTTPException(400, f"{INPUT}: has both data and binary_data_size")
    if isinstance(size, bool) or size != len(rest):
        raise HTTPException(400, f"{INPUT}: binary_data_size {str(size)[:20]}, but {len(rest)} bytes follow the JSON")
    return rest


def _decoded(content: bytes, headers: Headers, max_bytes: int) -> bytes:
    encoding = headers.get("content-encoding", "identity")
    if encoding == "identity":
        return content
    if encoding not in ENCODINGS:
        raise HTTPException(400, f"content-encoding {encoding[:20]!r}: expected gzip, deflate or none")
    unpacked = zlib.decompressobj(ENCODINGS[encoding])
    try:
        decoded = unpacked.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise HTTPException(400, f"the body is no {encoding}, or damaged") from error
    if len(decoded) > max_bytes:
        raise HTTPException(413, f"more than {max_bytes} bytes when unpacked, the most that is taken")
    if not unpacked.eof:
        raise HTTPException(400, f"the body ends before its {encoding} does")
    return decoded


def _response(answered: Answered, *, binary: bool) -> Response:
    now, values = answered.by, answered.values
    told: dict[str, Any] = {"model_name": NAME, "parameters": answered.parameters}
    if now.version:
        told["model_version"] = now.version
    if answered.asked.id:
        told["id"] = answered.asked.id
    output: dict[str, Any] = {"name": OUTPUT, "datatype": answered.asked.tensor.datatype, "shape": list(values.shape)}
    told["outputs"] = [output]
    if binary:
        output["parameters"] = {"binary_data_size": values.nbytes}
        head = json.dumps(told).encode()
        return Response(head + values.tobytes(), headers={LENGTH: str(len(head))}, media_type=BINARY)
    output["data"] = []
    before, after = json.dumps(told).rsplit("[]", 1)
    flat = values.ravel()  # in parts: the server stands still while one of them is written
    parts = (json.dumps(flat[i : i + PART].tolist())[1:-1] for i in range(0, len(flat), PART))
    return Response(f"{before}[{', '.join(parts)}]{after}", media_type="application/json")
