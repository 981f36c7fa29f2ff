"""What is posted where drift is found, to a real server; and that its address and token stay secret."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from unblur.drift.webhook import TOKEN, check_address, post
from unblur.errors import UnblurError, UsageError


class Listener(BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers as its server says."""

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.seen.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
        time.sleep(self.server.slow)
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def listener():
    server = HTTPServer(("127.0.0.1", 0), Listener)
    server.seen, server.status, server.slow = [], 204, 0.0
    server.address = f"http://127.0.0.1:{server.server_port}/hooks/s3cr3t"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_small_json_by_post(listener, monkeypatch):
    monkeypatch.setenv(TOKEN, "a-long-token")
    post(listener.address, {"drift": True})
    ((path, headers, content),) = listener.seen
    assert (path, content) == ("/hooks/s3cr3t", {"drift": True})
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer a-long-token"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", " \t"])
def test_a_line_end_on_the_token_is_left_out(listener, monkeypatch, end):
    monkeypatch.setenv(TOKEN, f"a-long-token{end}")
    check_address(listener.address)
    post(listener.address, {})
    assert listener.seen[0][1]["Authorization"] == "Bearer a-long-token"


def test_an_empty_token_is_none(listener, monkeypatch):
    monkeypatch.setenv(TOKEN, "\r\n")
    post(listener.address, {})
    assert "Authorization" not in listener.seen[0][1]


@pytest.mark.parametrize("token", ["s3cr3t\r\nX: y", "s3cr3t two", "s3cr3t\x7f", "s3cr3t\u00e9", "s3cr3t\udcff"])
def test_a_token_that_fits_into_no_header_is_refused_before_the_work(listener, monkeypatch, token):
    monkeypatch.setenv(TOKEN, token)
    for ask in (check_address, lambda address: post(address, {})):
        with pytest.raises(UsageError, match=f"{TOKEN}: holds a space") as raised:
            ask(listener.address)
        assert "s3cr3t" not in str(raised.value)
    assert listener.seen == []


def test_a_proxy_that_is_no_address_is_a_line(monkeypatch):
    """Python raises a plain ValueError that repeats it."""
    monkeypatch.setenv("http_proxy", "http:/s3cr3t")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(UnblurError, match="cannot be reached") as raised:
        post("http://host.invalid/", {})
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(("status", "says"), [(500, "answered 500"), (404, "answered 404"), (302, "answered 302")])
def test_a_refusal_is_one_line_without_the_path(listener, status, says):
    listener.status = status
    with pytest.raises(UnblurError, match=says) as raised:
        post(listener.address, {})
    assert "127.0.0.1" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert len(listener.seen) == 1  # a redirection is not followed


def test_nobody_there_and_too_slow(listener, port_of_nobody):
    with pytest.raises(UnblurError, match=r"127\.0\.0\.1 cannot be reached \(ConnectionRefusedError\)"):
        post(f"http://127.0.0.1:{port_of_nobody}/s3cr3t", {})
    listener.slow = 1.0
    with pytest.raises(UnblurError, match="no answer in time") as raised:
        post(listener.address, {}, seconds=0.1)
    assert "s3cr3t" not in str(raised.value)


@pytest.fixture
def port_of_nobody():
    server = HTTPServer(("127.0.0.1", 0), Listener)
    server.server_close()
    return server.server_port


@pytest.mark.parametrize(
    "address",
    [
        "",
        "s3cr3t",
        "ftp://host/s3cr3t",
        "file:///s3cr3t",
        "http://",
        "http://user:s3cr3t@host/",
        "http://host:99999999/s3cr3t",
        "http://host/s3cr3t\nX: y",
        "http://[::s3cr3t/",
    ],
)
def test_no_address_is_refused_without_repeating_it(address):
    with pytest.raises(UsageError, match="expected http://HOST/PATH") as raised:
        check_address(address)
    assert "s3cr3t" not in str(raised.value)


def test_addresses():
    for address in ("http://127.0.0.1:8080/a", "https://hooks.example.org/a/b?c=d"):
        check_address(address)
