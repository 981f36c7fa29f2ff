"""What may go and what has to stay, in a real registry."""

from typing import Any

import pytest

from unblur.config.tracking import ensure_experiment, tracking_client
from unblur.errors import UnblurError
from unblur.registry.cleaning import Leftover, clean
from unblur.registry.promote import promote
from unblur.registry.rollback import rollback
from unblur.registry.versions import list_versions

DAYS = 24 * 3600 * 1000


def names(found: list[Leftover], kind: str) -> list[str]:
    return [item.id for item in found if item.kind == kind]


@pytest.fixture
def busy(project: Any) -> Any:
    """Versions 1 to 6: 1 was champion, 2 was not, 3 was rolled back, 4 is champion, 5 and 6 were never promoted."""
    for number in range(1, 7):
        project.judged()
        if number in (1, 3, 4):
            promote("unblur", project.root, project.root / "artifacts/registry")
        if number == 3:
            rollback("unblur")
    tracking_client().set_registered_model_alias("unblur", "challenger", "6")
    return project


def test_champions_previous_ones_and_the_newest_stay(busy: Any) -> None:
    client = tracking_client()
    found = clean("unblur", "unblur", keep=1)
    assert names(found, "version") == ["2", "3", "5"]
    assert [item.why for item in found if item.id == "3"] == ["was rolled back"]
    assert len(list_versions(client, "unblur")) == 6  # nothing was changed yet

    assert clean("unblur", "unblur", keep=1, delete=True) == found
    assert [version.number for version in list_versions(client, "unblur")] == [1, 4, 6]
    assert clean("unblur", "unblur", keep=1) == []
    assert rollback("unblur").after == 1  # and its run and file are there


def test_the_last_n_stay(busy: Any) -> None:
    assert names(clean("unblur", "unblur", keep=3), "version") == ["2", "3"]
    assert clean("unblur", "unblur", keep=6) == []


def test_orphan_runs(project: Any) -> None:
    client = tracking_client()
    project.judged()
    promote("unblur", project.root, project.root / "artifacts/registry")
    experiment = ensure_experiment(client, "unblur")
    now = client.get_run(list_versions(client, "unblur")[0].run_id).info.start_time
    made = {
        what: client.create_run(experiment, start_time=now - age * DAYS).info.run_id
        for what, age in {"failed": 9, "killed": 8, "at work": 7, "finished": 6, "newest": 5}.items()
    }
    for what, state in {"failed": "FAILED", "finished": "FINISHED", "newest": "FINISHED"}.items():
        client.set_terminated(made[what], state)
    client.log_metric(made["at work"], "loss", 1.0)
    found = clean("unblur", "unblur", keep=1, delete=True)
    assert {(item.id, item.why) for item in found} == {
        (made["failed"], "failed"),
        (made["killed"], "was killed: nothing was logged for a day"),
        (made["finished"], "no version came of it, or an old one"),
    }
    left = {run.info.run_id for run in client.search_runs([experiment])}
    assert {made["at work"], made["newest"], list_versions(client, "unblur")[0].run_id} <= left
    assert len(left) == 3


def test_an_empty_registry_and_a_wrong_number(project: Any) -> None:
    assert clean("nosuch", "nosuch", keep=1) == []
    with pytest.raises(UnblurError, match="--keep 0"):
        clean("unblur", "unblur", keep=0)
