"""Rollback, in a real registry."""

from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry.ledger import read_ledger
from unblur.registry.move import Move
from unblur.registry.promote import promote
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
    assert read_aliases(two_versions, "unblur") == {"candidate": 2, "champion": 1}
    assert read_version(two_versions, "unblur", 2).tags["rolled_back"].endswith("by ada: halos")


def test_the_bad_model_never_comes_back(two_versions: Any) -> None:
    rollback("unblur")
    for _ in range(2):
        with pytest.raises(UnblurError, match=r"unblur v1 stays champion: no version before it is left"):
            rollback("unblur")
    assert read_aliases(two_versions, "unblur")["champion"] == 1
    assert [(line.before, line.after) for line in read_ledger(two_versions, "unblur")] == [(2, 1)]


def test_it_goes_back_along_the_ledger(project: Any) -> None:
    """1, 2 and 3 were promoted; 2 was deleted, 4 was promoted last: 4 -> 3 -> 1, and no further."""
    client, folder = tracking_client(), project.root / "artifacts/registry"
    for number in range(1, 5):
        project.judged()
        assert promote("unblur", project.root, folder).previous == (number - 1 or None)
    client.delete_model_version("unblur", "2")
    assert rollback("unblur") == Move("rollback", "unblur", 4, 3, moved=True, previous=1)
    assert read_aliases(client, "unblur") == {"candidate": 4, "champion": 3, "previous_champion": 1}
    assert rollback("unblur") == Move("rollback", "unblur", 3, 1, moved=True, previous=None)
    with pytest.raises(UnblurError, match="v1 stays champion"):
        rollback("unblur")


def test_what_was_promoted_again_can_be_rolled_back_again(project: Any) -> None:
    folder = project.root / "artifacts/registry"
    for _ in range(2):
        project.judged()
        promote("unblur", project.root, folder)
    rollback("unblur")
    promote("unblur", project.root, folder, again=True)
    assert rollback("unblur") == Move("rollback", "unblur", 2, 1, moved=True)


def test_the_same_call_twice_rolls_back_once(project: Any) -> None:
    for _ in range(3):
        project.judged()
        promote("unblur", project.root, project.root / "artifacts/registry")
    rollback("unblur", expected=3)
    with pytest.raises(UnblurError, match=r"Expected unblur v3 as champion, found unblur v2\. Nothing was changed"):
        rollback("unblur", expected=3)
    assert read_aliases(tracking_client(), "unblur")["champion"] == 2


@pytest.mark.parametrize(
    ("missing", "message"), [("champion", "no champion"), ("previous_champion", "v2 stays champion")]
)
def test_nothing_to_go_back_to(two_versions: Any, missing: str, message: str) -> None:
    two_versions.delete_registered_model_alias("unblur", missing)
    with pytest.raises(UnblurError, match=message):
        rollback("unblur")


def test_an_unknown_model(project: Any) -> None:
    with pytest.raises(UnblurError, match="nosuch has no champion"):
        rollback("nosuch")
