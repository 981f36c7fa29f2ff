"""What MLflow shows of the ledger: late writers, killed processes, and aliases that were set by hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry import projection
from unblur.registry.checking import check_registry
from unblur.registry.entry import entry
from unblur.registry.ledger import Ledger, read_ledger
from unblur.registry.move import move
from unblur.registry.promote import promote
from unblur.registry.retraining import waiting_version
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases, read_version


class Killed(BaseException):
    """What no code of ours catches, as a kill."""


def do(project: Any, **options: Any) -> Any:
    return promote("unblur", project.root, project.root / "artifacts/registry", **options)


def aliases() -> dict[str, int]:
    return read_aliases(tracking_client(), "unblur")


def before_call(patch: pytest.MonkeyPatch, method: str, number: int, action: Callable[[], None]) -> None:
    """Do something before the n-th call of a method of the client."""
    kind = type(tracking_client())
    real, left = getattr(kind, method), [number]

    def counted(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            action()
        return real(*arguments, **named)

    patch.setattr(kind, method, counted)


@contextmanager
def killed_at(method: str, number: int) -> Iterator[None]:
    """End the block before the n-th call of a method of the client."""

    def kill() -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        before_call(patch, method, number, kill)
        try:
            yield
        except Killed:
            return
    pytest.fail("was not killed")


@pytest.fixture
def second(project: Any) -> Any:
    """Version 1 is champion, version 2 has passed the gate."""
    project.judged()
    do(project)
    project.judged()
    return project


STEPS = [("set_registered_model_alias", 1), ("set_registered_model_alias", 2), ("set_registered_model_tag", 1)]


@pytest.mark.parametrize(("method", "call"), [*STEPS, ("delete_registered_model_alias", 1)])
def test_a_killed_promotion_is_shown_by_the_next(second: Any, method: str, call: int) -> None:
    tracking_client().set_registered_model_alias("unblur", "challenger", "2")
    with killed_at(method, call):
        do(second)
    assert [(line.before, line.after) for line in read_ledger(tracking_client(), "unblur")] == [(None, 1), (1, 2)]
    assert check_registry("unblur").unfinished
    assert not do(second).moved
    assert aliases() == {"candidate": 2, "champion": 2, "previous_champion": 1}
    assert len(read_ledger(tracking_client(), "unblur")) == 2
    assert not check_registry("unblur").unfinished


def test_killed_before_the_move_is_no_move(second: Any) -> None:
    before = aliases()
    with killed_at("create_model_version", 1):
        do(second)
    assert aliases() == before
    assert len(read_ledger(tracking_client(), "unblur")) == 1
    assert do(second).moved


@pytest.mark.parametrize(("method", "call"), [("set_model_version_tag", 1), *STEPS[:1], *STEPS[2:]])
def test_a_killed_rollback_is_shown_by_the_next_and_made_once(second: Any, method: str, call: int) -> None:
    do(second)
    second.judged()
    do(second)
    with killed_at(method, call):
        rollback("unblur")
    done = rollback("unblur")
    assert (done.before, done.after, done.moved) == (3, 2, False)
    assert aliases() == {"candidate": 3, "champion": 2, "previous_champion": 1}
    assert "rolled_back" in read_version(tracking_client(), "unblur", 3).tags
    with pytest.raises(UnblurError, match="Expected unblur v3 as champion, found unblur v2"):
        rollback("unblur", expected=3)
    assert rollback("unblur").after == 1


def test_a_late_writer_of_an_alias_mends_what_it_has_overwritten(second: Any) -> None:
    """While the first is about to set its alias, another one moves on and shows it."""
    second.judged()
    client = tracking_client()

    def overtake() -> None:
        ledger = Ledger(client, "unblur").read()
        line = entry("rollback", "unblur", 3, 1, why="", by="eve")
        assert move(ledger, line, read_version(client, "unblur", 1)) is not None
        assert aliases()["champion"] == 1
        assert "rolled_back" in read_version(client, "unblur", 3).tags

    with pytest.MonkeyPatch.context() as patch:
        before_call(patch, "set_registered_model_alias", 1, overtake)
        assert do(second).moved
    assert [line.after for line in read_ledger(client, "unblur")] == [1, 3, 1]
    assert aliases() == {"candidate": 3, "champion": 1}
    assert check_registry("unblur").lags == []
    assert "rolled_back" in read_version(client, "unblur", 3).tags


def test_a_late_mark_is_taken_away_again(second: Any) -> None:
    """A rollback is about to mark version 2; meanwhile 2 is promoted again and shown."""
    do(second)
    client = tracking_client()

    def overtake() -> None:
        ledger = Ledger(client, "unblur").read()
        line = entry("promote", "unblur", 1, 2, why="", by="eve")
        assert move(ledger, line, read_version(client, "unblur", 2)) is not None

    with pytest.MonkeyPatch.context() as patch:
        before_call(patch, "set_model_version_tag", 1, overtake)
        rollback("unblur")
    assert "rolled_back" not in read_version(client, "unblur", 2).tags
    assert aliases()["champion"] == 2


def test_of_two_that_promote_from_the_same_champion_one_is_refused(second: Any) -> None:
    """While one looks at the stored file, another moves the champion."""
    client = tracking_client()
    second.judged()
    client.set_registered_model_alias("unblur", "candidate", "2")

    def overtake() -> None:
        ledger = Ledger(client, "unblur").read()
        assert move(ledger, entry("promote", "unblur", 1, 3, why="", by="eve"), read_version(client, "unblur", 3))

    with pytest.MonkeyPatch.context() as patch:
        before_call(patch, "create_model_version", 1, overtake)
        with pytest.raises(UnblurError, match="Expected unblur v1 as champion, found unblur v3"):
            do(second, expected=1)
    assert [line.after for line in read_ledger(client, "unblur")] == [1, 3]
    assert aliases()["champion"] == 3


def test_two_that_set_the_same_alias_at_once(second: Any) -> None:
    from mlflow.exceptions import MlflowException

    def collide() -> None:
        raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: registered_model_aliases.name")

    with pytest.MonkeyPatch.context() as patch:
        before_call(patch, "set_registered_model_alias", 1, collide)
        assert do(second).moved
    assert aliases()["champion"] == 2


def test_an_alias_that_was_set_by_hand_is_left_to_a_person(second: Any) -> None:
    client = tracking_client()
    second.judged()
    client.set_registered_model_alias("unblur", "champion", "2")  # never champion by the ledger
    for call in (lambda: do(second), lambda: rollback("unblur")):
        with pytest.raises(UnblurError, match="is at v2, by the ledger it is v1: it was set without unblur"):
            call()
    assert aliases()["champion"] == 2
    check_registry("unblur", adopt="set in MLflow's page")
    assert [(line.action, line.before, line.after) for line in read_ledger(client, "unblur")] == [
        ("promote", None, 1),
        ("adopt", 1, 2),
    ]
    assert aliases()["previous_champion"] == 1
    check_registry("unblur", adopt="again")
    assert len(read_ledger(client, "unblur")) == 2
    assert rollback("unblur").after == 1


def test_a_champion_of_before_that_was_set_by_hand_is_not_set_back_unasked(second: Any) -> None:
    """An emergency in MLflow's page: the gate's verdict is about another champion, and nothing is changed."""
    do(second)
    tracking_client().set_registered_model_alias("unblur", "champion", "1")
    second.judged()
    with pytest.raises(UnblurError, match="compared with unblur v1 as champion, but by now it is unblur v2"):
        do(second)
    assert aliases()["champion"] == 1
    check_registry("unblur", mend=True)
    assert aliases()["champion"] == 2


def test_from_a_champion_that_was_deleted_one_can_roll_back(second: Any) -> None:
    do(second)
    tracking_client().delete_model_version("unblur", "2")
    assert rollback("unblur").after == 1
    assert aliases()["champion"] == 1


def test_moves_that_were_taken_out_of_the_ledger_are_told(second: Any) -> None:
    do(second)
    client = tracking_client()
    client.delete_model_version("unblur.ledger", "2")
    assert check_registry("unblur").lost == {2: "was deleted"}
    assert aliases()["champion"] == 2
    check_registry("unblur", adopt="the ledger was damaged")
    assert [(line.before, line.after) for line in read_ledger(client, "unblur")] == [(None, 1), (1, 2)]


def test_a_challenger_that_the_gate_names_meanwhile_stays(second: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tracking_client()
    client.set_registered_model_alias("unblur", "challenger", "2")
    lock = projection.registry_lock

    @contextmanager
    def after_the_gate(*arguments: Any) -> Iterator[None]:
        with lock(*arguments):  # the gate held it until now, with a version that was registered since
            second.judged()
            assert aliases()["challenger"] == 3
        with lock(*arguments):
            yield

    client.set_registered_model_alias("unblur", "candidate", "2")
    monkeypatch.setattr(projection, "registry_lock", after_the_gate)
    assert do(second).after == 2
    assert aliases() == {"candidate": 3, "challenger": 3, "champion": 2, "previous_champion": 1}


def test_a_lock_that_a_killed_process_holds_keeps_no_move_up(second: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "LOCK_SECONDS", 0.1)
    client = tracking_client()
    client.set_registered_model_alias("unblur", "challenger", "2")
    with projection.registry_lock(client, "unblur"):
        assert do(second).after == 2
    assert aliases() == {"candidate": 2, "challenger": 2, "champion": 2, "previous_champion": 1}
    assert waiting_version(client, "unblur") is None
    assert not check_registry("unblur").unfinished
