"""The server's addresses: the page at /, POST /v1/restore, /v1/jobs, /v2, /healthz, /readyz, /metrics, a webhook.

Errors are one line of JSON.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from unblur.errors import UnblurError
from unblur.serving.body import read_body
from unblur.serving.card import add_card
from unblur.serving.challenger.canary import Canary, answer
from unblur.serving.challenger.messages import Asked
from unblur.serving.challenger.shadow import Shadow
from unblur.serving.desk import Desk
from unblur.serving.door import FAULT, FAULTS, PAGE, Door, key_of, one_line
from unblur.serving.jobs.routes import FILE, add_jobs
from unblur.serving.jobs.store import Jobs
from unblur.serving.options import Ending, seconds_of, strength_of
from unblur.serving.protocol.rest import add_rest
from unblur.serving.responses import OF_UPLOADS, refusals
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings
from unblur.serving.stopping import Stopping
from unblur.serving.upload import TYPES, Restored, restore_upload
from unblur.serving.watching import Watch
from unblur.serving.webhook import add_webhook

LOG = logging.getLogger("unblur.serving")
FILES = Path(__file__).with_name("page")
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
RESTORED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The restored photograph", "content": dict.fromkeys(TYPES.values(), BINARY)}
}


def make_app(served: Served, settings: Settings, shadow: Shadow | None = None, canary: Canary | None = None) -> FastAPI:
    """Return the server; while it runs, it follows the model's alias, and tries a challenger where there is one."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        following = [asyncio.create_task(each.follow()) for each in (served, jobs, canary) if each]
        if shadow:
            shadow.start()
        yield
        for each in following:
            each.cancel()
        await asyncio.to_thread(jobs.close)
        if shadow:
            await asyncio.to_thread(shadow.close)

    app = FastAPI(title="unblur", docs_url=None, redoc_url=None, lifespan=running)
    app.state.served = served
    app.state.desk = desk = Desk(settings)
    app.state.watch = watch = Watch(served, desk)
    app.state.jobs = jobs = Jobs(served, settings, watch.noted)
    watch.add(jobs)
    for collector in (*(shadow.collectors if shadow else ()), *([canary] if canary else ())):
        watch.register(collector)
    app.add_middleware(Door, settings=settings, watch=watch)

    _answer_errors(app)
    app.mount(PAGE, StaticFiles(directory=FILES))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(FILES / "index.html")

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        now = served.now
        told = {"status": "ready", "model": now.model.name, "version": now.version, "sha256": now.model.sha256}
        told |= {"fault": served.fault} if served.fault else {}
        return told | (shadow.told() if shadow else {}) | (canary.told() if canary else {})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(watch.metrics(), media_type=CONTENT_TYPE_LATEST)

    add_card(app, served, settings)
    add_rest(app, served, desk, watch)
    add_jobs(app, jobs)
    if settings.webhook_secret:
        add_webhook(app, served, settings.webhook_secret)

    @app.post("/v1/restore", openapi_extra=FILE, response_class=Response, responses=RESTORED | refusals(*OF_UPLOADS))
    async def restore(
        request: Request, strength: str = "1", format: Ending | None = None, deadline: float | None = None
    ) -> Response:
        """Restore the photograph in the body.

        strength is 0 to 1 or auto; without a format it keeps its own; deadline is in seconds from the upload's end.
        """
        share, seconds = strength_of(strength), seconds_of(deadline)
        with desk.place() as place:
            now, start = served.now, time.perf_counter()
            content = await read_body(request, settings)

            def restore_by(model: Loaded, stop: Stopping) -> Restored:
                return restore_upload(
                    model.model.restorer, content, ending=format, strength=share, settings=settings, stop=stop
                )

            client = key_of(request.headers) or (request.client.host if request.client else "")
            work = canary.work(client, now, restore_by, seconds) if canary else partial(answer, now, restore_by)
            answered = await place.do(work, seconds, request.is_disconnected)
        taken, by, restored = round((time.perf_counter() - start) * 1000), answered.by, answered.restored
        watch.noted(restored.notes)
        request.scope["unblur.told"] |= {
            "version": by.version,
            "sha256": by.model.sha256,
            "megapixels": restored.megapixels,
            "format": restored.ending,
        } | ({"canary": answered.canary} if answered.canary else {})
        headers = {
            "x-unblur-model": by.model.name.encode("ascii", "replace").decode(),
            "x-unblur-version": by.version,
            "x-unblur-sha256": by.model.sha256,
            "x-unblur-milliseconds": str(taken),
            "x-unblur-notes": json.dumps(restored.notes),  # which is ASCII, whatever the notes hold
        }
        again = None
        if shadow and shadow.takes(identity := request.scope["unblur.id"]):
            asked = Asked(
                request=identity,
                champion=by.called,
                champion_sha256=by.model.sha256,
                reduction=by.reduction,
                ending=restored.ending,
                strength=share,
                milliseconds=answered.milliseconds,
                guarded=restored.guarded,
            )
            again = BackgroundTask(shadow.offer, asked, content, restored.content)  # after the answer has gone out
        return Response(restored.content, media_type=TYPES[restored.ending], headers=headers, background=again)

    return app


def _answer_errors(app: FastAPI) -> None:
    """Have each error answered in one line of JSON."""

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

    async def failed(request: Request, error: Exception) -> Response:
        about = {"request": request.scope["unblur.id"]}
        LOG.error("the server could not do a request", exc_info=error, extra={"about": about})
        return one_line(503, FAULT)

    for fault in FAULTS:
        app.add_exception_handler(fault, failed)
