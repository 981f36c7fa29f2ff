"""Measures whether the seams of tiles can be found in a result that was restored tile by tile."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.runtimes.tiles import plan_axis


def seam_jump(difference: NDArray[np.floating[Any]], zones: list[tuple[int, int]], axis: int) -> tuple[float, float]:
    """Return the largest step at the seams along an axis, and the 99th percentile of the steps elsewhere.

    A seam is a step that keeps its sign along the whole line, so the steps between neighbouring lines are averaged
    along them, as an eye does: texture averages out, a seam stays.

    Args:
        difference: (H, W, 3), the tiled minus the whole result; the answer has its unit.
        zones: [first, last) lines of each seam, from `feathered`.
        axis: 0 for seams between rows, 1 for seams between columns.
    """
    lines = np.moveaxis(difference, axis, 0).mean(axis=(1, 2), dtype=np.float64)
    steps = np.abs(np.diff(lines))
    at_seam = np.zeros(len(steps), bool)
    for first, last in zones:
        at_seam[max(first - 1, 0) : last] = True
    return float(steps[at_seam].max()), float(np.percentile(steps[~at_seam], 99))


def feathered(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Return the [first, last) lines of each seam of an axis: where neighbouring tiles are blended."""
    return [(right.keep_start, left.keep_stop) for left, right in pairwise(plan_axis(length, tile, overlap))]
