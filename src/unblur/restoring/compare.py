"""A photograph before and after, side by side in one picture."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblur.safety.atomic import replacing

OVERVIEW = 1200  # longest side of each half in pixels
DETAIL = 600  # side of the full-size cut-out
GAP = 8


def write_comparison(before: NDArray[np.uint8], after: NDArray[np.uint8], path: Path) -> None:
    """Write a PNG: left before, right after; (H, W, 3) uint8 both.

    A photograph larger than 1200 pixels is scaled down, where blur is hard to see; so below it stands, at full size,
    the 600 x 600 pixels that changed most.
    """
    rows = [_beside(_scaled(before), _scaled(after))]
    if max(before.shape[:2]) > OVERVIEW:
        top, left = most_changed(before, after)
        place = np.s_[top : top + DETAIL, left : left + DETAIL]
        rows.append(_beside(before[place], after[place]))
    width = max(row.shape[1] for row in rows)
    height = sum(row.shape[0] for row in rows) + GAP * (len(rows) - 1)
    sheet = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for row in rows:
        sheet[top : top + row.shape[0], : row.shape[1]] = row
        top += row.shape[0] + GAP
    with replacing(path) as unfinished:
        Image.fromarray(sheet).save(unfinished, "PNG")


def most_changed(before: NDArray[np.uint8], after: NDArray[np.uint8], side: int = DETAIL) -> tuple[int, int]:
    """Return top and left of the `side` x `side` square, on a grid of half its side, with the largest mean change."""
    height, width = before.shape[:2]
    best, place = -1.0, (0, 0)
    for top in range(0, max(height - side, 0) + 1, side // 2):
        for left in range(0, max(width - side, 0) + 1, side // 2):
            there = np.s_[top : top + side, left : left + side]
            change = float(np.abs(before[there].astype(np.int16) - after[there]).mean())
            if change > best:
                best, place = change, (top, left)
    return place


def _scaled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    image.thumbnail((OVERVIEW, OVERVIEW), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _beside(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    gap = np.full((left.shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)
