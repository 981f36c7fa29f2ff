"""Score a method on blurred and sharp pairs: whole images, uncropped, one figure for each pair and metric profile."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.data.manifest import PairRow, read_manifest
from unblur.data.pictures import as_planes, read_sides
from unblur.errors import UnblurError
from unblur.evaluation.score_table import (
    GUARDED,
    TEMPORAL,
    Score,
    gains,
    mean_by,
    mean_table,
    read_scores_csv,
    write_scores_csv,
)
from unblur.metrics.profiles import get_profile
from unblur.metrics.temporal import temporal_error
from unblur.restoring.guard import mend_batch

__all__ = [
    "Restore",
    "Score",
    "Stopwatch",
    "Track",
    "framewise",
    "gains",
    "mean_by",
    "mean_table",
    "read_pair",
    "read_pairs",
    "read_scores_csv",
    "restore_checked",
    "score",
    "write_scores_csv",
]

Batch = NDArray[np.float32]
Restore = Callable[[Batch], Batch]
Track = Callable[[Sequence[Any]], Iterable[Any]]


def score(
    method: str,
    restore: Restore,
    rows: Sequence[PairRow],
    prepared_root: Path,
    profiles: Sequence[str],
    *,
    track: Track = lambda rows: rows,
    workers: int = 1,
    per_frame: list[Score] | None = None,
) -> list[Score]:
    """Restore each blurred image as a whole and compare it with its sharp one.

    Args:
        method: the name under which the scores are listed.
        restore: takes and returns (1, 3, H, W) float32 in [0, 1]; values outside are clipped before they are compared.
            Of videos and bursts it takes (1, T, 3, H, W) and returns what the truth is: all frames, or the first.
        rows: the pairs, as the manifest lists them.
        prepared_root: the folder of the manifest.
        profiles: names of metric profiles.
        track: wraps `rows`, for a progress bar.
        workers: pairs that are worked on at once; they share PyTorch's threads. `restore` must allow for it.
        per_frame: gets the scores of a video's frames, PAIR/NUMBER; those that are returned are its means.

    Raises:
        UnblurError: an unknown profile, a pair whose images differ in size, or an output of another shape or with
            values that are not finite.
    """
    chosen = [get_profile(name) for name in profiles]

    def score_pair(row: PairRow) -> list[Score]:
        blurred, sharp = read_pair(row, prepared_root)
        restored = restore_checked(method, restore, row.pair, blurred, sharp.shape)
        seen, truth = (torch.from_numpy(images.reshape(-1, *images.shape[-3:])) for images in (restored, sharp))
        values = [float(profile.compute(seen, truth).mean()) for profile in chosen]  # of a video, over its frames
        found = [
            Score(row.pair, method, row.kind, row.strength, profile.name, value)
            for profile, value in zip(chosen, values, strict=True)
        ]
        if sharp.ndim == 5 and sharp.shape[1] > 1:
            change = float(temporal_error(torch.from_numpy(restored), torch.from_numpy(sharp))[0])
            found.append(Score(row.pair, method, row.kind, row.strength, TEMPORAL, change))
        of_blur = blurred if restored.shape == blurred.shape else blurred[:, 0]  # of a burst, the reference
        _, places = mend_batch(*(images.reshape(-1, *images.shape[-3:]) for images in (of_blur, restored)))
        found.append(Score(row.pair, method, row.kind, row.strength, GUARDED, len(places)))
        if per_frame is not None and len(truth) > 1:
            for profile in chosen:
                for t, value in enumerate(profile.compute(seen, truth).tolist()):
                    per_frame.append(Score(f"{row.pair}/{t:04d}", method, row.kind, row.strength, profile.name, value))
        return found

    if workers == 1:
        return [found for row in track(rows) for found in score_pair(row)]
    threads = torch.get_num_threads()
    each = max(1, threads // workers)  # More threads than cores spin and wait for each other.
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(each,)) as pool:
            by_pair = pool.map(score_pair, rows)
            return [found for _, scores in zip(track(rows), by_pair, strict=True) for found in scores]
    finally:
        torch.set_num_threads(threads)


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


def framewise(restore: Restore) -> Restore:
    """Return a method for single images as one for every frame; a burst is left to `restore_checked`."""

    def restore_frames(batch: Batch) -> Batch:
        return restore(batch.reshape(-1, *batch.shape[-3:])).reshape(batch.shape)

    return restore_frames


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


@dataclass
class Stopwatch:
    """A method that notes how long it takes. Reading and scoring do not count; calls at the same time add up."""

    restore: Restore
    seconds: float = field(default=0.0, init=False)
    pixels: int = field(default=0, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __call__(self, batch: Batch) -> Batch:
        """Restore (B, 3, H, W), or frames of it, and add the wall time."""
        start = time.perf_counter()
        restored = self.restore(batch)
        passed = time.perf_counter() - start
        with self._lock:
            self.seconds += passed
            self.pixels += batch.size // 3
        return restored

    @property
    def seconds_per_megapixel(self) -> float:
        """Wall time over all calls; 0 before the first one."""
        return self.seconds * 1e6 / self.pixels if self.pixels else 0.0
