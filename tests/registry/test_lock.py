"""The queue of tickets that locks a model on a server, here over a database that is treated as one."""

import contextlib
import logging
import sqlite3
import time
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry import lock


@pytest.fixture
def client(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(lock, "store_lock", lambda: None)
    return tracking_client()


def tickets(client: Any) -> list[int]:
    return [int(ticket.version) for ticket in client.search_model_versions("name = 'unblur.lock'")]


def test_a_request_that_was_sent_twice_does_not_block(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = type(client).create_model_version

    def twice(self: Any, *arguments: Any, **named: Any) -> Any:
        real(self, *arguments, **named)  # whose answer got lost
        return real(self, *arguments, **named)

    monkeypatch.setattr(type(client), "create_model_version", twice)
    with lock.registry_lock(client, "unblur", patience=0.1):
        assert len(tickets(client)) == 1
    assert tickets(client) == []


def test_whom_one_waits_for_is_told_and_patience_has_an_end(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lock, "TELL_SECONDS", 0.0)
    with lock.registry_lock(client, "unblur"):
        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(UnblurError, match="has been changing unblur for a while"),
            lock.registry_lock(client, "unblur", patience=0.5),
        ):
            pass
        assert len(tickets(client)) == 1
    assert {record.message.startswith("waiting for ") for record in caplog.records} == {True}


def test_the_place_of_a_killed_process_is_free_after_15_minutes(client: Any, project: Any) -> None:
    client.create_registered_model("unblur.lock")
    client.create_model_version("unblur.lock", "unblur-lock:/killed", tags={"owner": "ada"}, await_creation_for=0)

    def aged(minutes: float) -> None:
        with contextlib.closing(sqlite3.connect(project.root / "mlflow.db")) as store, store:
            made = (int((time.time() - 60 * minutes) * 1000),)
            assert store.execute("UPDATE model_versions SET creation_time = ? WHERE version = 1", made).rowcount == 1

    aged(14.8)
    with pytest.raises(UnblurError, match="ada has been"), lock.registry_lock(client, "unblur", patience=0.3):
        pass
    aged(15.2)
    with lock.registry_lock(client, "unblur", patience=0.3):
        assert len(tickets(client)) == 1
