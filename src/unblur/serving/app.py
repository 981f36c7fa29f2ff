"""The server's addresses: the page at /, POST /v1/restore, /healthz, /readyz. Every error is one line of JSON."""

import asyncio
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from unblur.errors import UnblurError, UsageError
from unblur.library import Model, share_of
from unblur.serving.door import PAGE, Door, one_line
from unblur.serving.settings import Settings
from unblur.serving.upload import TYPES, Restored, StoppedWorkError, restore_upload

FILES = Path(__file__).with_name("page")
LOOK_SECONDS = 0.25  # between two looks whether the client is still there
Ending = Literal["jpg", "png", "webp", "tiff", "avif", "heic"]
PHOTOGRAPH: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}


class Desk:
    """How many requests are in the house, and how long one takes: who is one too many is told when to come back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.inside = 0
        self.usual = 1.0  # seconds of a restoration, a running mean

    def enter(self) -> None:
        """Take a place, or raise 429."""
        if self.inside >= self.settings.workers + self.settings.waiting:
            after = math.ceil(self.usual * self.inside / self.settings.workers)
            raise HTTPException(429, "too many requests wait already", {"retry-after": str(max(1, after))})
        self.inside += 1

    def leave(self) -> None:
        """Give the place back."""
        self.inside -= 1

    def took(self, seconds: float) -> None:
        """Learn how long a restoration takes."""
        self.usual += 0.2 * (seconds - self.usual)


def make_app(model: Model, settings: Settings) -> FastAPI:
    """Return the server for a model of task image.

    Raises:
        UnblurError: the model restores bursts or videos.
    """
    if model.task != "image":
        msg = f"{model.name}: restores {model.task}s; `unblur serve` takes a model for photographs"
        raise UnblurError(msg)
    app = FastAPI(title="unblur", docs_url=None, redoc_url=None)
    app.state.desk = desk = Desk(settings)
    workers = ThreadPoolExecutor(settings.workers, thread_name_prefix="restore")

    app.add_middleware(Door, settings=settings)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return one_line(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def misunderstood(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return one_line(422, f"{first['loc'][-1]}: {first['msg']}")

    @app.exception_handler(UnblurError)
    async def wrong(request: Request, error: UnblurError) -> Response:
        return one_line(422, str(error))

    app.mount(PAGE, StaticFiles(directory=FILES))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(FILES / "index.html")

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready", "model": model.name, "sha256": model.sha256}

    @app.post("/v1/restore", openapi_extra=PHOTOGRAPH, response_class=Response)
    async def restore(request: Request, strength: str = "1", format: Ending | None = None) -> Response:
        """Restore the photograph in the body: strength is 0 to 1 or auto; without a format it keeps its own."""
        share = _strength(strength)
        desk.enter()
        released = False
        try:
            content = await _body(request, settings)
            stop, start = threading.Event(), time.perf_counter()
            work = workers.submit(
                restore_upload,
                model.restorer,
                content,
                ending=format,
                strength=share,
                settings=settings,
                stop=stop,
            )
            # The place is free when the work has ended, which may be after the client has gone.
            loop = asyncio.get_running_loop()
            work.add_done_callback(lambda _: loop.call_soon_threadsafe(desk.leave))
            released = True
            try:
                restored = await _watched(request, asyncio.wrap_future(work), stop)
            except StoppedWorkError as error:
                raise HTTPException(503, f"not done within {settings.seconds:g} s; send a smaller one") from error
            finally:
                stop.set()
        finally:
            if not released:
                desk.leave()
        seconds = time.perf_counter() - start
        desk.took(seconds)
        headers = {
            "x-unblur-model": model.name.encode("ascii", "replace").decode(),
            "x-unblur-sha256": model.sha256,
            "x-unblur-milliseconds": str(round(seconds * 1000)),
            "x-unblur-notes": json.dumps(restored.notes),  # which is ASCII, whatever the notes hold
        }
        return Response(restored.content, media_type=TYPES[restored.ending], headers=headers)

    return app


async def _body(request: Request, settings: Settings) -> bytes:
    """Read the body, no more than is allowed and no longer."""
    too_large = HTTPException(413, f"more than {settings.max_bytes} bytes, the most that is taken")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.max_bytes:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(settings.upload_seconds):
            async for part in request.stream():
                content += part
                if len(content) > settings.max_bytes:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(408, f"the upload took more than {settings.upload_seconds:g} s") from error
    return bytes(content)


async def _watched(request: Request, work: asyncio.Future[Restored], stop: threading.Event) -> Restored:
    """Wait for the work, and stop it where the client goes away."""
    while not (await asyncio.wait({work}, timeout=LOOK_SECONDS))[0]:
        if await request.is_disconnected():
            stop.set()
    return work.result()


def _strength(text: str) -> float | None:
    try:
        return share_of("auto" if text == "auto" else float(text))
    except ValueError as error:
        msg = f"strength {text[:20]!r}: expected a number from 0 to 1, or auto"
        raise UsageError(msg) from error
