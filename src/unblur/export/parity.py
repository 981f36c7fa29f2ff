"""Does an exported file compute what the PyTorch network computes? One row for each file and size."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unblur.errors import UnblurError
from unblur.restoring.restorer import Restorer, load_restorer
from unblur.safety.atomic import replacing

FRAMES = 4
"""Of the clips and bursts that are compared."""

RUNTIMES = {".onnx": "onnxruntime", ".xml": "openvino"}
"""That each kind of file is compared with."""
NAMES = {".xml": "openvino"}

T = TypeVar("T")
Track = Callable[[Sequence[T]], Iterable[T]]


@dataclass(frozen=True)
class ParityRow:
    """One comparison: the largest absolute difference over all pixels of a random batch; values are in [0, 1]."""

    format: str
    batch: int
    height: int
    width: int
    max_abs_difference: float
    passed: bool


def check_parity(
    network: nn.Module,
    files: Sequence[Path],
    sizes: Sequence[Sequence[int]],
    tolerance: float,
    track: Track[Path] = lambda items: items,
) -> list[ParityRow]:
    """Compare each exported file, run as a user would run it, with `network` in fp32 on random images.

    Args:
        network: the reference, on the CPU.
        files: exported files; the suffix is the row's format.
        sizes: [batch, height, width] of each comparison.
        tolerance: largest absolute difference that still passes; NaN never does.
        track: called on `files`, for a progress bar.

    Raises:
        UnblurError: a size does not have three numbers of at least 1, or a file cannot be loaded.
    """
    task = getattr(network, "task", "image")
    images = [_random_batch(size, task) for size in sizes]
    expected = [_restored(network, image) for image in images]
    rows = []
    for file in track(files):
        restorer = load_restorer(file, runtime=RUNTIMES.get(file.suffix, "auto"), precision="f32")
        for image, truth in zip(images, expected, strict=True):
            difference = _difference(restorer, image, truth)
            batch, (height, width) = image.shape[0], image.shape[-2:]
            passed = difference <= tolerance
            name = NAMES.get(file.suffix, file.suffix.lstrip("."))
            rows.append(ParityRow(name, batch, height, width, difference, passed))
    return rows


def write_parity(rows: Sequence[ParityRow], path: Path) -> None:
    """Write the rows as CSV."""
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [field.name for field in fields(ParityRow)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def require_parity(rows: Sequence[ParityRow], tolerance: float) -> None:
    """Raise an UnblurError that names the worst comparison if any did not pass."""
    failed = [row for row in rows if not row.passed]
    if not failed:
        return
    worst = max(failed, key=lambda row: np.nan_to_num(row.max_abs_difference, nan=np.inf))
    msg = (
        f"{len(failed)} of {len(rows)} parity checks failed; the worst: {worst.format} at {worst.batch}x3x"
        f"{worst.height}x{worst.width} differs from the PyTorch network by {worst.max_abs_difference:.3g} "
        f"(allowed: {tolerance:g}); do not ship this file, or raise export.tolerance if that much is acceptable"
    )
    raise UnblurError(msg)


def _random_batch(size: Sequence[int], task: str) -> NDArray[np.float32]:
    if len(size) != 3 or min(size) < 1:
        msg = f"export.sizes has {list(size)}: expected [batch, height, width], each at least 1"
        raise UnblurError(msg)
    batch, height, width = size
    frames = () if task == "image" else (FRAMES,)
    return np.random.default_rng(0).random((batch, *frames, 3, height, width), dtype=np.float32)


def _restored(network: nn.Module, image: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        restored: NDArray[np.float32] = network(torch.from_numpy(image)).numpy()
    return restored


def _difference(restorer: Restorer, image: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    restored = restorer(image)
    if restored.shape != truth.shape:
        return float("inf")
    return float(np.abs(restored.astype(np.float64) - truth).max())
