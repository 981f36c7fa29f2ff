"""How long each variant takes for one image, measured in interleaved rounds."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from unblur.benchmark.runtimes import Images, Run
from unblur.errors import UnblurError
from unblur.records.latency import WHOLE
from unblur.runtimes.tiles import restore_tiled

T = TypeVar("T")
Track = Callable[[Sequence[T]], Iterable[T]]

FEW = 3  # rounds of images that large
PAUSE = 0.02  # seconds between two calls: the last one's idle threads stop spinning before the next is timed


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one image, RGB float32 in and out: the median and the interquartile range of the rounds.

    `rounds_ms` are those of each round, in the same order for every candidate of that size.
    """

    name: str
    height: int
    width: int
    median_ms: float
    spread_ms: float
    rounds_ms: tuple[float, ...] = ()


def measure_latency(
    runs: Mapping[str, Run],
    sizes: Sequence[Sequence[int]],
    rounds: int,
    warmup: int,
    track: Track[tuple[int, ...]] = lambda items: items,
) -> list[Latency]:
    """Time every candidate at every size.

    Each round runs all of them once, in an order that rotates: a machine that slows down for a while slows all of
    them alike, and none always follows the same neighbour. The first `warmup` rounds are not counted.

    Images of more than WHOLE pixels go through in tiles, as `unblur restore` does it, in at most FEW rounds.

    Args:
        runs: what restores a batch, by name.
        sizes: (height, width) of each image.
        rounds: rounds that count, at least 1.
        warmup: rounds before them.
        track: called on the list of (height, width, round), for a progress bar.

    Raises:
        UnblurError: there are no rounds, or a size is not (height, width) of at least 1.
    """
    if rounds < 1 or warmup < 0:
        msg = f"benchmark.rounds={rounds} and benchmark.warmup={warmup}: expected at least 1 and at least 0"
        raise UnblurError(msg)
    images = {(height, width): random_image(height, width) for height, width in map(checked_size, sizes)}
    seconds: dict[tuple[str, int, int], list[float]] = {}
    names = list(runs)
    steps: list[tuple[int, ...]] = [
        (*size, index) for size in images for index in range(warmup + min(rounds, FEW if large(size) else rounds))
    ]
    for height, width, index in track(steps):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            run = in_tiles(runs[name]) if large((height, width)) else runs[name]
            taken = _timed(run, images[height, width])
            if index >= warmup:
                seconds.setdefault((name, height, width), []).append(taken)
    return [
        Latency(
            name,
            *size,
            median_ms=1e3 * statistics.median(taken),
            spread_ms=1e3 * _interquartile_range(taken),
            rounds_ms=tuple(1e3 * each for each in taken),
        )
        for size in images
        for name in names
        for taken in [seconds[name, *size]]
    ]


def checked_size(size: Sequence[int]) -> tuple[int, int]:
    """Return (height, width), or raise an UnblurError."""
    if len(size) != 2 or min(size) < 1:
        msg = f"benchmark.sizes has {list(size)}: expected [height, width], each at least 1"
        raise UnblurError(msg)
    return size[0], size[1]


def large(size: Sequence[int]) -> bool:
    """Tell whether an image of this (height, width) goes through in tiles."""
    return size[0] * size[1] > WHOLE


def in_tiles(run: Run) -> Run:
    """Return what restores one image (1, 3, H, W) tile by tile, as `unblur restore` does by default."""

    def tiled(image: Images) -> Images:
        return restore_tiled(run, image[0].transpose(1, 2, 0)).transpose(2, 0, 1)[None]

    return tiled


def random_image(height: int, width: int) -> Images:
    """Return the image that is restored, (1, 3, height, width) in [0, 1]; what it shows does not change the time."""
    return np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)


def _timed(run: Run, image: Images) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    run(image)
    return time.perf_counter() - start


def _interquartile_range(values: Sequence[float]) -> float:
    low, high = np.percentile(values, [25, 75])
    return float(high - low)
