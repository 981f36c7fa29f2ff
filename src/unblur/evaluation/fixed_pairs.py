"""The fixed validation and test pairs as batches, and what a method answers to them, checked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblur.data.manifest import PairRow, read_manifest
from unblur.data.pictures import as_planes, read_sides
from unblur.errors import UnblurError

Batch = NDArray[np.float32]
Restore = Callable[[Batch], Batch]


def read_pair(row: PairRow, prepared_root: Path) -> tuple[Batch, Batch]:
    """Return the blurred and the sharp image of a pair, each (1, 3, H, W) float32 in [0, 1], or (1, T, 3, H, W).

    Raises:
        UnblurError: a file is missing, outside `prepared_root` or no image, or the two differ in size.
    """
    blurred, sharp = (as_planes(pictures)[None] for pictures in read_sides(row, prepared_root))
    if blurred.shape[-3:] != sharp.shape[-3:]:
        sizes = " and ".join(f"{image.shape[-1]}x{image.shape[-2]}" for image in (blurred, sharp))
        msg = f"pair {row.pair}: {row.blur} and {row.sharp} differ in size ({sizes}); run `unblur prepare` again"
        raise UnblurError(msg)
    return blurred, sharp


def read_pairs(prepared_root: Path, split: str, count: int) -> list[tuple[Batch, Batch]]:
    """Return the first `count` pairs of a split, as `read_pair` gives them.

    Raises:
        UnblurError: there is none.
    """
    rows = [row for row in read_manifest(prepared_root) if row.split == split][:count]
    if not rows:
        msg = f"{prepared_root / 'manifest.csv'}: no pair of the split {split}; see data.pairs_per_photo"
        raise UnblurError(msg)
    return [read_pair(row, prepared_root) for row in rows]


def restore_checked(
    method: str, restore: Restore, pair: str, blurred: Batch, expected: tuple[int, ...] | None = None
) -> Batch:
    """Return the restored image clipped to [0, 1], of the shape `expected`, or that of `blurred`.

    Of a burst that was restored shot by shot, the first counts.

    Raises:
        UnblurError: the output has another shape, or values that are not finite.
    """
    restored = np.asarray(restore(blurred), dtype=np.float32)
    if expected and len(expected) == blurred.ndim - 1 and restored.shape == blurred.shape:
        restored = restored[:, 0]
    if restored.shape != (expected or blurred.shape):
        msg = f"pair {pair}: {method!r} returned {restored.shape} for {blurred.shape}; a method must keep the shape"
        raise UnblurError(msg)
    if not np.isfinite(restored).all():
        msg = f"pair {pair}: {method!r} returned values that are not finite; its weights or its precision are broken"
        raise UnblurError(msg)
    return np.clip(restored, 0, 1)
