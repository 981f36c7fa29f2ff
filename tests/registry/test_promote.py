"""Promotion, in a real registry: only what passed the gate, only from the champion that was expected."""

import json
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import GateRefusedError, UnblurError, UsageError
from unblur.registry.ledger import read_ledger
from unblur.registry.move import Move, parse_expected
from unblur.registry.promote import promote
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases


def do(project: Any, **options: Any) -> Move:
    return promote("unblur", project.root, project.root / "artifacts/registry", **options)


def aliases() -> dict[str, int]:
    return read_aliases(tracking_client(), "unblur")


def test_the_first_champion(project: Any) -> None:
    project.judged()
    assert do(project, why="first", by="ada") == Move("promote", "unblur", None, 1, moved=True)
    assert aliases() == {"candidate": 1, "champion": 1}
    (line,) = read_ledger(tracking_client(), "unblur")
    assert (line.who, line.action, line.before, line.after, line.why) == ("ada", "promote", None, 1, "first")


def test_the_second_keeps_the_first_as_previous(project: Any) -> None:
    project.judged()
    do(project)
    project.judged()
    assert do(project, expected=1) == Move("promote", "unblur", 1, 2, moved=True, previous=1)
    assert aliases() == {"candidate": 2, "champion": 2, "previous_champion": 1}


def test_again_is_no_move_and_no_line(project: Any) -> None:
    project.judged()
    do(project)
    assert not do(project, expected=0).moved
    assert len(read_ledger(tracking_client(), "unblur")) == 1


def test_another_champion_than_expected_changes_nothing(project: Any) -> None:
    project.judged()
    do(project)
    project.judged()
    before = aliases()
    for expected, called in ((0, "no version"), (7, "unblur v7")):
        with pytest.raises(UnblurError, match=rf"Expected {called} as champion, found unblur v1"):
            do(project, expected=expected)
    assert aliases() == before
    assert len(read_ledger(tracking_client(), "unblur")) == 1


def test_a_champion_that_moved_since_the_gate_is_noticed(project: Any) -> None:
    project.judged()
    do(project)
    project.judged()
    do(project)
    project.judged()
    rollback("unblur")
    with pytest.raises(GateRefusedError, match=r"compared with unblur v2 .* now it is unblur v1"):
        do(project)


def test_without_the_gate_there_is_no_promotion(project: Any) -> None:
    project.judged(passed=False)
    with pytest.raises(GateRefusedError, match="min_psnr"):
        do(project)
    tracking_client().delete_model_version_tag("unblur", "1", "gate_sha256")
    with pytest.raises(GateRefusedError, match="has not been through the gate"):
        do(project)
    assert "champion" not in aliases()


def test_a_changed_verdict_does_not_count(project: Any) -> None:
    project.judged(passed=False)
    path = project.root / "artifacts/registry/gate.json"
    record = json.loads(path.read_text())
    record["passed"] = True
    path.write_text(json.dumps(record))
    with pytest.raises(GateRefusedError, match="min_psnr"):  # MLflow's copy is taken
        do(project)


def test_other_data_than_the_gate_had(project: Any) -> None:
    project.judged()
    project.write("data.dvc", "outs:\n- md5: ffff.dir\n")
    with pytest.raises(GateRefusedError, match=r"data\.dvc is now at ffff\.dir"):
        do(project)


def test_from_another_checkout_the_logged_verdict_is_enough(project: Any) -> None:
    project.judged()
    (project.root / "artifacts/registry/gate.json").unlink()
    assert do(project).moved


def test_what_was_rolled_back_returns_only_on_demand(project: Any) -> None:
    for _ in range(2):
        project.judged()
        do(project)
    rollback("unblur", why="halos", by="ada")
    with pytest.raises(GateRefusedError, match=r"v2 was rolled back \(.* by ada: halos\)"):
        do(project)
    assert do(project, again=True) == Move("promote", "unblur", 1, 2, moved=True, previous=1)
    assert not do(project).moved


def test_nothing_registered(project: Any) -> None:
    with pytest.raises(UnblurError, match="unblur register"):
        do(project)


@pytest.mark.parametrize(("text", "number"), [(None, None), ("none", 0), ("12", 12)])
def test_the_expectation_is_a_number_or_none(text: str | None, number: int | None) -> None:
    assert parse_expected(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "v3", "champion", ""])
def test_anything_else_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="--expect-champion"):
        parse_expected(text)
