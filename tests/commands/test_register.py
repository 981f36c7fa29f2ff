"""`unblur register` on a temporary project."""

from typing import Any

import pytest

from unblur.commands.register import main, run


def test_it_shows_the_lineage_and_then_that_nothing_is_left_to_do(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = project.export(0.8)
    main.__wrapped__(project.cfg)
    said = capsys.readouterr().out
    assert "Registered unblur v1" in said
    assert sha256[:40] in said
    assert "unblur gate" in said
    assert "MODEL_CARD.md" in said
    run(project.cfg)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"unblur v1 holds this very model already (SHA-256 {sha256[:12]})")
