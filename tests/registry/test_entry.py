"""A line of the ledger names who and when."""

import getpass
from datetime import UTC, datetime, timedelta

import pytest

from unblur.registry.entry import current_user, entry


def test_an_entry_names_user_and_moment() -> None:
    line = entry("promote", "unblur", 1, 2, why="", by=None)
    assert line.who == getpass.getuser()
    assert abs(datetime.fromisoformat(line.when) - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_container_without_users(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_user() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", no_user)
    assert current_user() == "unknown"
