"""Score a method on blurred and sharp pairs: whole images, uncropped, one figure for each pair and metric profile."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from unblur.data.manifest import PairRow
from unblur.evaluation.fixed_pairs import Batch, Restore, read_pair, restore_checked
from unblur.metrics.profiles import get_profile
from unblur.metrics.temporal import temporal_error
from unblur.records.scores import GUARDED, TEMPORAL, Score
from unblur.runtimes.guard import mend_batch

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
    keep: Callable[[str, Batch], None] | None = None,
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
        keep: gets the name of each pair and the answer to it, clipped to [0, 1].

    Raises:
        UnblurError: an unknown profile, a pair whose images differ in size, or an output of another shape or with
            values that are not finite.
    """
    chosen = [get_profile(name) for name in profiles]

    def score_pair(row: PairRow) -> list[Score]:
        blurred, sharp = read_pair(row, prepared_root)
        restored = restore_checked(method, restore, row.pair, blurred, sharp.shape)
        if keep is not None:
            keep(row.pair, restored)
        seen, truth = (torch.from_numpy(images.reshape(-1, *images.shape[-3:])) for images in (restored, sharp))
        values = [float(profile.compute(seen, truth).mean()) for profile in chosen]  # of a video, over its frames
        found = [
            Score(row.pair, row.scene, method, row.kind, row.strength, profile.name, value)
            for profile, value in zip(chosen, values, strict=True)
        ]
        if sharp.ndim == 5 and sharp.shape[1] > 1:
            change = float(temporal_error(torch.from_numpy(restored), torch.from_numpy(sharp))[0])
            found.append(Score(row.pair, row.scene, method, row.kind, row.strength, TEMPORAL, change))
        of_blur = blurred if restored.shape == blurred.shape else blurred[:, 0]  # of a burst, the reference
        _, places = mend_batch(*(images.reshape(-1, *images.shape[-3:]) for images in (of_blur, restored)))
        found.append(Score(row.pair, row.scene, method, row.kind, row.strength, GUARDED, len(places)))
        if per_frame is not None and len(truth) > 1:
            for profile in chosen:
                for t, value in enumerate(profile.compute(seen, truth).tolist()):
                    per_frame.append(
                        Score(f"{row.pair}/{t:04d}", row.scene, method, row.kind, row.strength, profile.name, value)
                    )
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


def framewise(restore: Restore) -> Restore:
    """Return a method for single images as one for every frame; a burst is left to `restore_checked`."""

    def restore_frames(batch: Batch) -> Batch:
        return restore(batch.reshape(-1, *batch.shape[-3:])).reshape(batch.shape)

    return restore_frames


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
