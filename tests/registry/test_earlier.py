"""Ledgers of before: tags of a run, or a file, and a move that was cut off."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from unblur.config.tracking import ensure_experiment, tracking_client
from unblur.errors import UnblurError
from unblur.registry.checking import Lag, check_registry
from unblur.registry.entry import LedgerEntry, entry
from unblur.registry.ledger import read_ledger
from unblur.registry.promote import promote
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases, read_version

LINES = [entry("promote", "unblur", before, after, why="", by="ada") for before, after in ((None, 1), (1, 2))]


def as_json(line: LedgerEntry) -> str:
    return json.dumps(asdict(line))


@pytest.fixture
def before(project: Any) -> Any:
    """Two versions and their moves, the first as a line of a file, the second as a tag of the run."""
    for _ in range(2):
        project.judged()
    client = tracking_client()
    client.delete_registered_model_alias("unblur", "challenger")
    run_id = client.create_run(ensure_experiment(client, "unblur"), tags={"role": "ledger"}).info.run_id
    client.log_text(run_id, as_json(LINES[0]) + "\n", "ledger.jsonl")
    client.set_tag(run_id, "move.000001", as_json(LINES[1]))
    client.set_registered_model_tag("unblur", "ledger_run", run_id)
    client.set_registered_model_alias("unblur", "champion", "2")
    client.set_registered_model_alias("unblur", "previous_champion", "1")
    return project


def test_a_ledger_of_before_goes_on(before: Any) -> None:
    client = tracking_client()
    assert read_ledger(client, "unblur") == LINES
    assert check_registry("unblur").lags == []
    before.judged()
    done = promote("unblur", before.root, before.root / "artifacts/registry")
    assert (done.before, done.after, done.previous) == (2, 3, 2)
    assert [(line.before, line.after) for line in read_ledger(client, "unblur")] == [(None, 1), (1, 2), (2, 3)]
    assert rollback("unblur").after == 2
    assert rollback("unblur").after == 1
    with pytest.raises(UnblurError, match="v1 stays champion"):
        rollback("unblur")
    assert read_aliases(client, "unblur") == {"candidate": 3, "champion": 1}


def test_an_alias_set_by_hand_after_it_is_told(before: Any) -> None:
    tracking_client().set_registered_model_alias("unblur", "champion", "1")
    report = check_registry("unblur")
    assert report.lags == [Lag("champion", 1, 2), Lag("previous_champion", 1, 1)][:1]


@pytest.mark.parametrize("alias", [1, 2])
def test_a_rollback_of_before_that_was_cut_off_is_made_once(before: Any, alias: int) -> None:
    client = tracking_client()
    plan = entry("rollback", "unblur", 2, 1, why="halos", by="eve")
    client.set_registered_model_tag("unblur", "unfinished_move", as_json(plan))
    client.set_registered_model_alias("unblur", "champion", str(alias))
    assert check_registry("unblur").unfinished
    done = rollback("unblur")
    assert (done.before, done.after) == (2, 1)
    assert read_ledger(client, "unblur") == [*LINES, plan]
    assert read_aliases(client, "unblur") == {"candidate": 2, "champion": 1}
    assert "halos" in read_version(client, "unblur", 2).tags["rolled_back"]
    assert not check_registry("unblur").unfinished


def test_a_plan_whose_champion_somebody_has_moved_since_is_dropped(before: Any) -> None:
    before.judged()
    client = tracking_client()
    plan = entry("rollback", "unblur", 2, 1, why="", by="eve")
    client.set_registered_model_tag("unblur", "unfinished_move", as_json(plan))
    client.set_registered_model_alias("unblur", "champion", "3")
    check_registry("unblur", mend=True)
    assert read_ledger(client, "unblur") == LINES
    assert read_aliases(client, "unblur")["champion"] == 2
    assert "unfinished_move" not in client.get_registered_model("unblur").tags


def test_what_cannot_be_read_is_named(before: Any) -> None:
    client = tracking_client()
    run_id = client.get_registered_model("unblur").tags["ledger_run"]
    client.set_registered_model_tag("unblur", "unfinished_move", "{")
    with pytest.raises(UnblurError, match="unfinished_move of unblur is no plan"):
        rollback("unblur")
    client.set_tag(run_id, "move.000002", '{"when": 1}')
    with pytest.raises(UnblurError, match=f"Run {run_id}, the ledger of unblur, has a line that is no entry"):
        read_ledger(client, "unblur")
    client.set_registered_model_tag("unblur", "ledger_run", "0" * 32)
    with pytest.raises(UnblurError, match=r"is gone for ever.*remove the tag ledger_run"):
        read_ledger(client, "unblur")
