"""The door of the server: who comes in, what an answer carries and leaves in the log, one line where something fails.

It is plain ASGI: FastAPI's own middleware would hide from the work behind it that a client has gone.
"""

import logging
import re
import time

from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unblur.errors import ServerFaultError
from unblur.errors import one_line as shown
from unblur.serving.body import GONE
from unblur.serving.policies import NOTHING, OF_PAGE, SECURITY
from unblur.serving.settings import Settings
from unblur.serving.tracing import Traces, trace_request
from unblur.serving.watching import Watch, request_id
from unblur.serving.webhook import ADDRESS as WEBHOOK  # who calls it has signed

LOG = logging.getLogger("unblur.serving")
OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")  # asked by whoever runs the server, without a key
ASKED_OFTEN = (*OPEN, "/metrics")  # no line of the log each time
JOB = re.compile("^(/v1/jobs/)[^/]+")  # who knows the id of a job may fetch its result: it stays out of the log
PAGE = "/page/"  # where the files of the page lie; the page itself, at /, asks for the key
UNTRACED = Traces()
FAULTS = (ServerFaultError, MemoryError, OSError)  # 503: of the machine or the model; the same request may do later
FAULT = "the server could not do this, its log says why; send it later, or a smaller one"


class Door:
    """Lets in who has a key, adds security headers and the request's id, counts and logs every answer.

    Where the server itself fails, it answers 500 in one line.
    """

    def __init__(self, app: ASGIApp, settings: Settings, watch: Watch) -> None:
        self.app = app
        self.settings = settings
        self.watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0
        path, headers = scope["path"], Request(scope).headers
        told = scope["unblur.told"] = {}  # what the work behind adds to the line of the log
        identity = scope["unblur.id"] = request_id(headers.get("x-request-id", ""))
        scope["unblur.policy"] = OF_PAGE if _is_of_page(path) else NOTHING

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [*SECURITY.items(), (b"content-security-policy", scope["unblur.policy"])]
                message["headers"] = [*message["headers"], *added, (b"x-request-id", identity.encode())]
            await send(message)

        traces = UNTRACED if path in ASKED_OFTEN else self.settings.traces
        with traces.span(scope["method"], headers) as span:
            try:
                await self._let_in(headers, path)(scope, receive, guarded)
            except Exception:
                LOG.exception("a request has failed", extra={"about": {"request": identity}})
                if status:
                    raise
                await one_line(500, "the server has failed; its log says why")(scope, receive, guarded)
            finally:
                status = status or GONE  # as the server had to stop before it was done
                seconds = time.perf_counter() - start
                # The address's pattern, so that nobody can fill the memory of the counters.
                route = getattr(scope.get("route"), "path", "other")
                self.watch.answered(route, status, seconds)
                trace_request(span, scope["method"], route, status, {"request": identity, **told})
                shown_path = JOB.sub(r"\1{id}", path[:200])
                about = {"request": identity, "method": scope["method"], "path": shown_path, "status": status}
                level = logging.DEBUG if path in ASKED_OFTEN else logging.INFO
                LOG.log(level, "answered", extra={"about": {**about, "seconds": round(seconds, 4), **told}})

    def _let_in(self, headers: Headers, path: str) -> ASGIApp:
        """Return what answers: the server, or a refusal."""
        if path in (*OPEN, WEBHOOK) or _is_of_page(path) or self.settings.lets_in(key_of(headers)):
            return self.app
        return one_line(401, "no known API key; send it as X-API-Key or Authorization: Bearer")


def key_of(headers: Headers) -> str:
    """Return the API key that a request carries, "" where it has none."""
    return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def _is_of_page(path: str) -> bool:
    return path == "/" or path.startswith(PAGE)


def one_line(status: int, line: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as one line of JSON."""
    return JSONResponse({"error": shown(" ".join(line.split()))}, status, headers)
