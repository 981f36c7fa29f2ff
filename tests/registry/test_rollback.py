"""Rollback, in a real registry."""

from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry.ledger import read_ledger
from unblur.registry.move import Move
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases, read_version


@pytest.fixture
def two_versions(project: Any) -> Any:
    """Version 2 is champion, version 1 was before."""
    for _ in range(2):
        project.judged()
    client = tracking_client()
    client.delete_registered_model_alias("unblur", "challenger")
    client.set_registered_model_alias("unblur", "champion", "2")
    client.set_registered_model_alias("unblur", "previous_champion", "1")
    return client


def test_the_previous_champion_comes_back(two_versions: Any) -> None:
    assert rollback("unblur", why="halos", by="ada") == Move("rollback", "unblur", 2, 1, moved=True)
    assert read_aliases(two_versions, "unblur") == {"candidate": 2, "champion": 1, "previous_champion": 2}
    assert read_version(two_versions, "unblur", 2).tags["rolled_back"].endswith("by ada: halos")


def test_a_second_rollback_undoes_the_first(two_versions: Any) -> None:
    before = read_aliases(two_versions, "unblur")
    rollback("unblur")
    rollback("unblur")
    assert read_aliases(two_versions, "unblur") == before
    assert "rolled_back" not in read_version(two_versions, "unblur", 2).tags
    moves = [(line.action, line.before, line.after) for line in read_ledger(two_versions, "unblur")]
    assert moves == [("rollback", 2, 1), ("rollback", 1, 2)]


@pytest.mark.parametrize(("missing", "message"), [("champion", "no champion"), ("previous_champion", "no previous")])
def test_nothing_to_go_back_to(two_versions: Any, missing: str, message: str) -> None:
    two_versions.delete_registered_model_alias("unblur", missing)
    with pytest.raises(UnblurError, match=message):
        rollback("unblur")


def test_an_unknown_model(project: Any) -> None:
    with pytest.raises(UnblurError, match="nosuch has no champion"):
        rollback("nosuch")
