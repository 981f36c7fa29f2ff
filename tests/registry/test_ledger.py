"""The ledger, in a real MLflow store: one order of moves, whoever writes, and however often a request is sent."""

import threading
from itertools import pairwise
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from unblur.config.tracking import tracking_client
from unblur.errors import StoreSilentError, UnblurError
from unblur.registry import ledger as ledger_module
from unblur.registry import patience
from unblur.registry.entry import entry
from unblur.registry.ledger import Ledger, read_ledger


@pytest.fixture
def client(project: Any) -> Any:
    made = tracking_client()
    made.create_registered_model("unblur")
    return made


def commit(ledger: Ledger, after: int, action: str = "promote", why: str = "") -> bool:
    return ledger.commit(entry(action, "unblur", ledger.champion, after, why=why, by="ada"))


def moves(client: Any) -> list[tuple[int | None, int]]:
    return [(line.before, line.after) for line in read_ledger(client, "unblur")]


def test_lines_are_kept_in_order_and_each_model_has_its_own(client: Any) -> None:
    client.create_registered_model("other")
    lines = [entry("promote", "unblur", None, 1, why='a "quoted"\nreason \0 é', by="ada")]
    lines.append(entry("rollback", "unblur", 1, 3, why="", by=None))
    for line in lines:
        assert Ledger(client, "unblur").read().commit(line)
    assert Ledger(client, "other").read().commit(entry("promote", "other", None, 4, why="", by=None))
    assert read_ledger(client, "unblur") == lines
    assert [line.after for line in read_ledger(client, "other")] == [4]


def test_of_two_that_build_on_the_same_move_the_first_counts(client: Any) -> None:
    one, two = Ledger(client, "unblur").read(), Ledger(client, "unblur").read()
    assert commit(one, 1)
    assert not commit(two, 2)
    assert two.champion == 1
    assert commit(two, 2)  # now it builds on the first
    assert not commit(one, 3)
    assert commit(one, 3)
    assert moves(client) == [(None, 1), (1, 2), (2, 3)]
    assert len(client.search_model_versions("name = 'unblur.ledger'")) == 5


def test_a_champion_that_went_and_came_back_is_not_the_one_that_was_expected(client: Any) -> None:
    late = Ledger(client, "unblur").read()
    assert commit(late, 1)
    other = Ledger(client, "unblur").read()
    assert commit(other, 2)
    assert commit(other, 1)
    assert not commit(late, 3)
    assert moves(client) == [(None, 1), (1, 2), (2, 1)]


def test_many_at_once_make_one_chain(client: Any) -> None:
    told: list[tuple[str, bool]] = []

    def race(who: str) -> None:
        ledger = Ledger(client, "unblur").read()
        for turn in range(4):
            why = f"{who}.{turn}"
            told.append((why, commit(ledger, int(who) + 1, why=why)))

    threads = [threading.Thread(target=race, args=[str(number)]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = read_ledger(client, "unblur")
    assert len(told) == 16
    assert sorted(line.why for line in lines) == sorted(why for why, moved in told if moved)
    assert all(before.after == after.before for before, after in pairwise(lines))


@pytest.mark.parametrize("lost", ["within MLflow's client", "before we have it"])
def test_a_request_whose_answer_got_lost_moves_once(client: Any, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    real = type(client).create_model_version
    calls = []

    def unsure(self: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        made = real(self, *arguments, **named)
        if lost == "before we have it" and len(calls) == 1:
            raise MlflowException("API request failed with exception Connection aborted")
        return made if len(calls) > 1 else real(self, *arguments, **named)

    monkeypatch.setattr(type(client), "create_model_version", unsure)
    ledger = Ledger(client, "unblur").read()
    assert commit(ledger, 1)
    monkeypatch.undo()
    assert len(client.search_model_versions("name = 'unblur.ledger'")) == 2
    assert moves(client) == [(None, 1)]
    assert commit(ledger, 2)
    assert moves(client) == [(None, 1), (1, 2)]


def test_a_request_that_comes_after_others_have_moved_counts_for_nothing(client: Any) -> None:
    """The first of two that were sent for one move is on its way for long."""
    ledger = Ledger(client, "unblur").read()
    assert commit(ledger, 1)
    (sent,) = client.search_model_versions("name = 'unblur.ledger'")
    assert commit(ledger, 2)
    client.create_model_version("unblur.ledger", sent.source, tags=sent.tags, await_creation_for=0)
    assert moves(client) == [(None, 1), (1, 2)]


def test_a_busy_store_is_asked_again_and_one_that_refuses_is_not(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = type(client).create_model_version, ["Giving up after 3 attempts", "database is locked"]

    def busy(self: Any, *arguments: Any, **named: Any) -> Any:
        if left:
            raise MlflowException(left.pop())
        return real(self, *arguments, **named)

    monkeypatch.setattr(type(client), "create_model_version", busy)
    assert commit(Ledger(client, "unblur").read(), 1)
    left += ["error code 403"] * 2
    with pytest.raises(UnblurError, match="refuses this user"):
        commit(Ledger(client, "unblur").read(), 2)
    assert len(left) == 1


def test_a_store_that_stays_silent_is_told(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: Any, *_: Any, **__: Any) -> Any:
        raise MlflowException("Connection refused")

    monkeypatch.setattr(type(client), "create_model_version", silent)
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(StoreSilentError, match="does not answer"):
        commit(Ledger(client, "unblur").read(), 1)


def test_reads_that_lag_behind_writes_are_waited_for(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, behind = Ledger._newer, [True, True]
    monkeypatch.setattr(Ledger, "_newer", lambda self: iter(()) if behind and behind.pop() else real(self))
    assert commit(Ledger(client, "unblur"), 1)
    assert behind == []


def test_a_long_ledger_comes_in_pages_and_what_falls_between_two_is_looked_up(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(client, "unblur").read()
    for number in range(1, 8):
        assert commit(ledger, number)
    monkeypatch.setattr(ledger_module, "PAGE", 3)
    assert [after for _, after in moves(client)] == [1, 2, 3, 4, 5, 6, 7]
    real = Ledger._newer
    monkeypatch.setattr(Ledger, "_newer", lambda self: (each for each in real(self) if int(each.version) != 3))
    read = Ledger(client, "unblur").read()
    assert (len(read.lines), read.lost) == (7, {})


@pytest.mark.parametrize("how", ["was deleted", "holds no move"])
def test_a_move_that_somebody_takes_out_still_counts_for_those_that_build_on_it(client: Any, how: str) -> None:
    ledger, late = Ledger(client, "unblur").read(), Ledger(client, "unblur").read()
    for number in (1, 2):
        assert commit(ledger, number)
    late.read()
    assert commit(ledger, 3)
    assert not commit(late, 9)  # builds on the second, as the third does
    assert commit(ledger, 4)
    if how == "was deleted":
        client.delete_model_version("unblur.ledger", "3")
    else:
        client.set_model_version_tag("unblur.ledger", "3", "move", "{}")
    read = Ledger(client, "unblur").read()
    assert read.lost == {3: how}
    assert [line.after for line in read.lines] == [1, 2, 4]
    assert commit(read, 5)
    assert moves(client)[-1] == (4, 5)


def test_what_was_rolled_back_and_came_back(client: Any) -> None:
    ledger = Ledger(client, "unblur").read()
    assert all((commit(ledger, 1), commit(ledger, 2), commit(ledger, 1, "rollback", "halos")))
    assert ledger.rolled_back[2].endswith("by ada: halos")
    assert commit(ledger, 2)
    assert ledger.rolled_back == {}
    assert ledger.champions == {1, 2}


def test_no_model_and_no_move_is_an_empty_ledger(client: Any) -> None:
    assert read_ledger(client, "unblur") == []
    assert read_ledger(client, "never-registered") == []


def test_a_reason_as_long_as_a_book_keeps_the_ledger_readable(client: Any) -> None:
    assert (
        Ledger(client, "unblur").read().commit(entry("promote", "unblur", None, 1, why="é" * 20_000, by="ada" * 5000))
    )
    (line,) = read_ledger(client, "unblur")
    assert line.why == "é" * 1000
