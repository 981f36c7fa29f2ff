"""A sweep of the tiny training, and the PostgreSQL server of the registry's tests."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

_spec = importlib.util.spec_from_file_location("registry_conftest", Path(__file__).parents[1] / "registry/conftest.py")
assert _spec is not None
assert _spec.loader is not None
_registry = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_registry)

postgresql = _registry.postgresql


@pytest.fixture
def space_file(tmp_path: Path, tiny: tuple[str, ...]) -> Callable[..., Path]:
    """`space_file(trials=2)`: a SPACE.yaml over the learning rate of the tiny training, with these keys in place."""

    def write(**keys: Any) -> Path:
        content = {
            "name": "tiny",
            "trials": 2,
            "sampler": {"name": "random", "seed": 3},
            "overrides": [*tiny, "logger=none"],
            "space": {"optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True}},
            **keys,
        }
        file = tmp_path / "space.yaml"
        file.write_text(
            yaml.safe_dump({key: value for key, value in content.items() if value is not None}, sort_keys=False)
        )
        return file

    return write
