"""A web server on this machine that can be told how to misbehave."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Shelf:
    """What the server at `url` gives, and the Range headers that it was asked with.

    With `breaks_at` it closes the connection when that many bytes of the file were sent, once.
    """

    content: bytes
    url: str = ""
    knows_ranges: bool = True
    breaks_at: int | None = None
    redirect: str | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A server of 300,000 bytes."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    served = Shelf(bytes(range(250)) * 1200)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            served.asked.append(asked)
            if served.redirect:
                self.send_response(302)
                self.send_header("Location", served.redirect)
                self.end_headers()
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and served.knows_ranges else 0
            if start >= len(served.content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                size = len(served.content)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(len(served.content) - start))
            self.end_headers()
            stop, served.breaks_at = served.breaks_at, None
            self.wfile.write(served.content[start:stop])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/model.onnx"
    yield served
    server.shutdown()
    server.server_close()
    thread.join()
