"""The model's answers to the test pairs as pictures, so that what comes after the evaluation need not restore again."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblur.data.images import read_rgb, write_png
from unblur.evaluation.fixed_pairs import Batch

ANSWERS = "answers"
"""Their folder in that of the evaluation."""


def shown(restored: Batch) -> Batch:
    """Return the picture (H, W, 3) that an answer (1, 3, H, W) is judged by, in [0, 1] and rounded to 8 bits.

    Of a clip (1, T, 3, H, W) it is the middle frame.
    """
    return _floats(_steps(restored))


def write_answer(folder: Path, pair: str, restored: Batch) -> None:
    """Write what `shown` returns as PAIR.png."""
    write_png(folder / f"{pair}.png", _steps(restored))


def read_answer(folder: Path, pair: str) -> Batch:
    """Return what `shown` returned of this pair.

    Raises:
        UnblurError: the picture is missing or cannot be read.
    """
    return _floats(read_rgb(folder / f"{pair}.png"))


def _steps(restored: Batch) -> NDArray[np.uint8]:
    picture = restored[0, restored.shape[1] // 2] if restored.ndim == 5 else restored[0]
    steps = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(steps.transpose(1, 2, 0))


def _floats(picture: NDArray[np.uint8]) -> Batch:
    return np.divide(picture, 255, dtype=np.float32)
