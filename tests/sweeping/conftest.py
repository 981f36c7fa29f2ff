"""A sweep of the tiny training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml


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
