"""`unblur rollback` and its undoing."""

import sys
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.registry.versions import read_aliases
from unblur.stages.rollback import main


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["unblur rollback", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_there_and_back(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch) == 1
    assert "unblur has no champion to roll back" in capsys.readouterr().err
    for _ in range(2):
        project.judged()
    client = tracking_client()
    client.set_registered_model_alias("unblur", "champion", "2")
    assert call(monkeypatch) == 1
    assert "there is no previous one" in capsys.readouterr().err
    client.set_registered_model_alias("unblur", "previous_champion", "1")
    for champion in (1, 2):
        assert call(monkeypatch, "--why", "halos") == 0
        assert f"Rolled back to unblur v{champion}" in capsys.readouterr().out
        assert read_aliases(client, "unblur")["champion"] == champion
