"""`unblur promote`: options, exit codes, and the ledger as a table."""

import sys
from typing import Any

import pytest

from unblur.commands.promote import main
from unblur.config.tracking import tracking_client
from unblur.registry.versions import read_aliases


@pytest.fixture
def promote(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the command and return its exit code."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["unblur promote", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return call


def test_promotion_and_history(project: Any, promote: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert promote("--history") == 0
    assert "never moved" in capsys.readouterr().out
    project.judged()
    assert promote("--why", "first model [red]", "--by", "ada", "--expect-champion", "none") == 0
    assert "Promoted unblur v1" in capsys.readouterr().out
    assert promote() == 0
    assert "unblur v1 is the champion already" in capsys.readouterr().out
    assert promote("--history") == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in ("ada", "promote", "first model", "[red]", "v1"):
        assert word in said


def test_exit_codes(project: Any, promote: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert promote() == 1
    assert "error: No version of unblur has the alias 'candidate'" in capsys.readouterr().err
    assert promote("--expect-champion", "v1") == 2
    assert promote("--nonsense") == 2
    project.judged(passed=False)
    assert promote() == 3
    assert "error: The gate refuses unblur v1. min_psnr" in capsys.readouterr().err
    project.judged()
    assert promote("--expect-champion", "1") == 1
    assert "Expected unblur v1 as champion, found no version" in capsys.readouterr().err
    assert read_aliases(tracking_client(), "unblur") == {"candidate": 2, "challenger": 2}
