"""The ledger, in a real MLflow store."""

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from unblur.config.tracking import ensure_experiment, tracking_client
from unblur.errors import UnblurError
from unblur.registry.ledger import append, current_user, entry, read_ledger


@pytest.fixture
def store(project: Any) -> tuple[Any, str]:
    client = tracking_client()
    client.create_registered_model("unblur")
    client.create_registered_model("other")
    return client, ensure_experiment(client, "unblur")


def test_lines_are_kept_in_order_and_each_model_has_its_own(store: tuple[Any, str]) -> None:
    client, experiment = store
    lines = [entry("promote", "unblur", None, 1, why='a "quoted"\nreason é', by="ada")]
    lines.append(entry("rollback", "unblur", 2, 1, why="", by=None))
    for line in lines:
        append(client, line, experiment)
    append(client, entry("promote", "other", None, 4, why="", by=None), experiment)
    assert read_ledger(client, "unblur") == lines
    assert [line.after for line in read_ledger(client, "other")] == [4]
    assert len(client.search_runs([experiment], "tags.role = 'ledger'")) == 2


def test_a_run_that_was_deleted_is_restored_and_one_that_is_gone_is_named(store: tuple[Any, str]) -> None:
    client, experiment = store
    lines = [entry("promote", "unblur", None, number, why="", by=None) for number in (1, 2)]
    append(client, lines[0], experiment)
    run_id = client.get_registered_model("unblur").tags["ledger_run"]
    client.delete_run(run_id)
    append(client, lines[1], experiment)
    assert read_ledger(client, "unblur") == lines
    assert client.get_run(run_id).info.lifecycle_stage == "active"
    client.set_registered_model_tag("unblur", "ledger_run", "0" * 32)
    with pytest.raises(UnblurError, match=r"is gone for ever.*remove the tag ledger_run"):
        append(client, lines[0], experiment)


def test_an_entry_names_user_and_moment() -> None:
    line = entry("promote", "unblur", 1, 2, why="", by=None)
    assert line.who == getpass.getuser()
    assert abs(datetime.fromisoformat(line.when) - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_container_without_users(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_user() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", no_user)
    assert current_user() == "unknown"


def test_no_model_and_no_move_is_an_empty_ledger(store: tuple[Any, str]) -> None:
    client, _ = store
    assert read_ledger(client, "unblur") == []
    assert read_ledger(client, "never-registered") == []


def test_a_broken_line_is_an_error(store: tuple[Any, str]) -> None:
    client, experiment = store
    append(client, entry("promote", "unblur", None, 1, why="", by=None), experiment)
    run_id = client.get_registered_model("unblur").tags["ledger_run"]
    client.log_text(run_id, '{"when": 1}\n', "ledger.jsonl")
    with pytest.raises(UnblurError, match=f"Run {run_id}, the ledger of unblur"):
        read_ledger(client, "unblur")


def test_a_ledger_of_before_goes_on(store: tuple[Any, str]) -> None:
    client, experiment = store
    old, new = (entry("promote", "unblur", before, before + 1, why="", by="ada") for before in (1, 2))
    run_id = client.create_run(experiment).info.run_id
    client.set_registered_model_tag("unblur", "ledger_run", run_id)
    client.log_text(run_id, json.dumps(asdict(old)) + "\n", "ledger.jsonl")
    for _ in range(2):  # a line that is there is not added again
        append(client, new, experiment)
    assert read_ledger(client, "unblur") == [old, new]


def test_a_reason_as_long_as_a_book_keeps_the_ledger_readable(store: tuple[Any, str]) -> None:
    client, experiment = store
    append(client, entry("promote", "unblur", None, 1, why="é" * 20_000, by="ada" * 5000), experiment)
    (line,) = read_ledger(client, "unblur")
    assert line.why == "é" * 1000
