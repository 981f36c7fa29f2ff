"""The door of the server: who comes in, what every answer carries, and one line where something fails.

It is plain ASGI: FastAPI's own middleware would hide from the work behind it that a client has gone.
"""

import logging

from fastapi.responses import JSONResponse, Response
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unblur.serving.settings import Settings

LOG = logging.getLogger("unblur.serving")
OPEN = ("/healthz", "/readyz")  # asked by whoever runs the server, without a key
PAGE = "/page/"  # where the files of the page lie; the page itself, at /, asks for the key
SECURITY = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
OF_PAGE = SECURITY | {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Door:
    """Lets in who has a key, adds security headers, and answers 500 in one line where the server itself fails."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False
        path = scope["path"]
        is_page = path == "/" or path.startswith(PAGE)
        security = OF_PAGE if is_page else SECURITY

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *security.items()]
            await send(message)

        headers = Request(scope).headers
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not is_page and path not in OPEN and not self.settings.lets_in(key):
            line = "no known API key; send it as X-API-Key or Authorization: Bearer"
            await one_line(401, line)(scope, receive, guarded)
            return
        try:
            await self.app(scope, receive, guarded)
        except Exception:
            LOG.exception("a request has failed")
            if begun:
                raise
            await one_line(500, "the server has failed; its log says why")(scope, receive, guarded)


def one_line(status: int, line: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as one line of JSON."""
    return JSONResponse({"error": " ".join(line.split())}, status, headers)
