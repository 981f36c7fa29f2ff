"""The quality that a JPEG was saved with, told by its quantization tables: libjpeg's scale of 1 to 100.

libjpeg scales the example table of the standard (ITU-T T.81, table K.1) by the quality; the nearest of those hundred
tables tells it. Cameras and programs with tables of their own get the quality that quantizes most alike.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblur.images.header import DAMAGED, open_image

K1 = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


def jpeg_quality(path: Path) -> int | None:
    """Return the quality of a JPEG file, 1 to 100; None of other formats, and where the header cannot be read."""
    try:
        with open_image(path) as image:
            tables: dict[int, Sequence[int]] = getattr(image, "quantization", {})
            return nearest_quality(tables[0]) if tables else None
    except (*DAMAGED, Warning):
        return None


def nearest_quality(table: Sequence[int]) -> int:
    """Return the quality whose table of luminance, 64 steps row by row, is nearest in the logarithm of its steps."""
    distance = np.abs(_logarithms() - np.log(np.maximum(np.asarray(table, np.float64), 1))).sum(axis=1)
    return int(distance.argmin()) + 1


@cache
def _logarithms() -> NDArray[np.float64]:
    """Return (100, 64): the logarithm of each quality's table."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.asarray(np.log(np.clip((np.outer(scale, K1) + 50) // 100, 1, 255)), np.float64)
