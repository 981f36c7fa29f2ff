"""Shared by all tests: one thread a process, no network talk, small synthetic photographs."""

import os

for name, value in {
    "OMP_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "DVC_NO_ANALYTICS": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}.items():
    os.environ.setdefault(name, value)

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Photo = NDArray[np.uint8]


@pytest.fixture
def make_photo() -> Callable[..., Photo]:
    """A generator of photographs with edges, texture and colour: `make_photo(height, width, seed=0)`, (H, W, 3) uint8."""

    def make(height: int = 96, width: int = 128, seed: int = 0) -> Photo:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        image = np.stack([x / width, y / height, (x + y) / (height + width)], axis=-1)
        for _ in range(12):
            cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(4, max(5, min(height, width) / 4))
            image[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = rng.uniform(0, 1, 3)
        image += rng.normal(0, 0.02, image.shape)
        return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)

    return make
