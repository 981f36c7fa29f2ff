"""What measures whether the seams of tiles can be found (studies/seams.py)."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def seams():
    """The module studies/seams.py."""
    spec = importlib.util.spec_from_file_location("seams", Path(__file__).parents[2] / "studies" / "seams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
