"""A server that refuses, does not answer, or falls silent in the middle: one line, soon, and nothing half done."""

import http.server
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import StoreSilentError, UnblurError
from unblur.registry.ledger import read_ledger
from unblur.registry.promote import promote
from unblur.registry.register import register
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases

KILLED = """
import os, sys
from pathlib import Path
from mlflow import MlflowClient
from unblur.registry.promote import promote
MlflowClient.set_registered_model_alias = lambda *_, **__: os._exit(9)
root = Path(sys.argv[1])
promote("unblur", root, root / "artifacts/registry")
"""


@contextmanager
def answering(handle: Callable[[Any], None]) -> Iterator[str]:
    """A server on this machine that handles every request by `handle`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle(self)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://ada:hunter22@127.0.0.1:{server.server_port}"
        server.shutdown()


def refuse(code: int) -> Callable[[Any], None]:
    def handle(request: Any) -> None:
        request.rfile.read(int(request.headers.get("Content-Length", 0)))
        request.send_response(code)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return handle


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (401, "the store refuses this user; check MLFLOW_TRACKING_USERNAME"),
        (403, "the store refuses this user; check MLFLOW_TRACKING_USERNAME"),
        (503, "the store, or where it keeps its files, does not answer"),
    ],
)
def test_a_server_that_refuses(project: Any, monkeypatch: pytest.MonkeyPatch, code: int, told: str) -> None:
    with answering(refuse(code)) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(UnblurError, match=told) as caught:
            rollback("unblur")
    assert isinstance(caught.value, StoreSilentError) == (code == 503)
    assert "hunter22" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_takes_the_call_and_never_answers(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.config.tracking.ANSWER_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{mute.getsockname()[1]}")
        with pytest.raises(StoreSilentError, match="the store, or where it keeps its files, does not answer"):
            promote("unblur", project.root, project.root / "artifacts/registry")


class Stalling:
    """Forwards to a real server until it is told to be silent from a request on."""

    def __init__(self, behind: str) -> None:
        self.behind, self.silent_from, self.end = behind, "", threading.Event()

    def __call__(self, request: Any) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if self.silent_from and (self.silent_from == "*" or self.silent_from in request.path):
            self.silent_from = "*"
            self.end.wait(60)
            return
        headers = {key: value for key, value in request.headers.items() if key.lower() != "host"}
        url = self.behind + request.path
        try:
            answer = urllib.request.urlopen(urllib.request.Request(url, body or None, headers, method=request.command))
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
            request.send_response(answer.status)
            request.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)


@pytest.mark.pipeline
@pytest.mark.slow
def test_kills_and_silence_in_the_middle(
    project: Any, tmp_path: Any, mlflow_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.root / "artifacts/registry"
    with mlflow_server(tmp_path) as (behind, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", behind)
        project.export(0.8)
        register(project.cfg, project.root)
        client = tracking_client()
        versions = len(client.search_model_versions("name = 'unblur'"))

        # silent while a model is registered: told within some waits of a second, and nothing of it stays
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        stalling = Stalling(behind)
        with answering(stalling) as address:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            stalling.silent_from = "mlflow-artifacts"
            project.export(0.7)
            started = time.monotonic()
            with pytest.raises(StoreSilentError, match="the store, or where it keeps its files, does not answer"):
                register(project.cfg, project.root)
            assert time.monotonic() - started < 30
            assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "2"  # its patience is back
            stalling.end.set()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", behind)
        assert len(client.search_model_versions("name = 'unblur'")) == versions
        assert read_aliases(client, "unblur") == {"candidate": 1}

        # killed after the move, before the aliases show it: nothing is blocked, and the next one shows it
        project.cfg.registry.model_name = "unblur"
        from unblur.registry.gate import run_gate

        project.export(0.8)
        client.delete_model_version("unblur.lock", str(max(_tickets(client))))  # of the silent one, else 15 minutes
        run_gate(project.cfg, project.root)
        done = subprocess.run([sys.executable, "-c", KILLED, str(project.root)], capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
        assert _tickets(client) == []
        assert "champion" not in read_aliases(client, "unblur")
        assert not promote("unblur", project.root, folder).moved
        assert read_aliases(client, "unblur") == {"candidate": 1, "champion": 1}
        assert [(line.action, line.before, line.after) for line in read_ledger(client, "unblur")] == [
            ("promote", None, 1)
        ]


def _tickets(client: Any) -> list[int]:
    return [int(ticket.version) for ticket in client.search_model_versions("name = 'unblur.lock'")]


def test_a_database_that_fails_in_the_middle_is_one_line_without_a_traceback_of_mlflows(project):
    tracking_client().create_registered_model("unblur")
    with closing(sqlite3.connect(project.root / "mlflow.db")) as database:
        database.execute("ALTER TABLE registered_model_aliases RENAME TO gone")
    command = [sys.executable, "-m", "unblur", "registry", "check"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: sqlite:///{project.root}/mlflow.db: the store of MLflow cannot do this")
    assert done.stderr.count("\n") == 1
