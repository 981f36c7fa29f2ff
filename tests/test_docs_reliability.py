"""The page of what goes wrong names tests that are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reliability.md"


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`((?:[a-z]+/)*test_\w+\.py)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 20
    assert sorted(name for name in named if not (TESTS / name).is_file()) == []
