"""`unblur rollback`: where it ends, and where it does not go."""

import sys
from typing import Any

import pytest

from unblur.commands.rollback import main
from unblur.config.tracking import tracking_client
from unblur.registry.versions import read_aliases


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["unblur rollback", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_back_and_no_further(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch) == 1
    assert "unblur has no champion to roll back" in capsys.readouterr().err
    for _ in range(2):
        project.judged()
    client = tracking_client()
    client.set_registered_model_alias("unblur", "champion", "2")
    assert call(monkeypatch) == 1
    assert "v2 stays champion" in capsys.readouterr().err
    client.set_registered_model_alias("unblur", "previous_champion", "1")
    assert call(monkeypatch, "--expect-champion", "1") == 1
    assert "Expected unblur v1 as champion, found unblur v2" in capsys.readouterr().err
    assert call(monkeypatch, "--expect-champion", "2", "--why", "halos") == 0
    assert "Rolled back to unblur v1" in capsys.readouterr().out
    assert call(monkeypatch) == 1
    assert read_aliases(client, "unblur") == {"candidate": 2, "challenger": 2, "champion": 1}
    assert call(monkeypatch, "--expect-champion", "v1") == 2
