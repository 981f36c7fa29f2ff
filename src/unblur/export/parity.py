"""Does an exported file do what the PyTorch network does? One row for each file and size, or for its pairs."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unblur.errors import UnblurError
from unblur.evaluation.fidelity import mean_score
from unblur.networks.description import describe
from unblur.records.parity import ParityRow
from unblur.runtimes.restorer import Restorer, load_restorer

FRAMES = 4
"""Of the clips and bursts that are compared."""

RUNTIMES = {".onnx": "onnxruntime", ".xml": "openvino"}
"""That each kind of file is compared with."""
NAMES = {".xml": "openvino"}

T = TypeVar("T")
Images = NDArray[np.float32]
Track = Callable[[Sequence[T]], Iterable[T]]


def check_parity(
    variant: str,
    network: nn.Module,
    files: Sequence[Path],
    sizes: Sequence[Sequence[int]],
    tolerance: float,
    *,
    track: Track[Path] = lambda items: items,
) -> list[ParityRow]:
    """Compare each exported file, run as a user would run it, with `network` in fp32 on random images.

    Args:
        variant: the network's name.
        network: the reference, on the CPU.
        files: exported files; the suffix is the row's format.
        sizes: [batch, height, width] of each comparison.
        tolerance: largest absolute difference that still passes.
        track: called on `files`, for a progress bar.

    Raises:
        UnblurError: a size does not have three numbers of at least 1, or a file cannot be loaded.
    """
    task = describe(network).task
    images = [_random_batch(size, task) for size in sizes]
    expected = [_restored(network, image) for image in images]
    rows = []
    for file in track(files):
        restorer = _loaded(file)
        for size, image, truth in zip(sizes, images, expected, strict=True):
            figure = _difference(restorer, image, truth)
            compared = "x".join(map(str, size))
            rows.append(ParityRow(variant, _format(file), compared, figure, tolerance, "", figure <= tolerance))
    return rows


def check_budget(
    variant: str,
    network: nn.Module,
    files: Sequence[Path],
    pairs: Sequence[tuple[Images, Images]],
    max_lost_db: float,
    *,
    track: Track[Path] = lambda items: items,
) -> list[ParityRow]:
    """Compare each file of fewer bits with the network in fp32 by the PSNR that it loses on pairs.

    Args:
        variant: the model's name.
        network: that the model was made of, on the CPU.
        files: exported files.
        pairs: blurred and sharp, as `unblur.evaluation.fixed_pairs.read_pair` gives them.
        max_lost_db: that still passes.
        track: called on `files`, for a progress bar.
    """
    best = np.mean([mean_score(_restored(network, blurred), sharp) for blurred, sharp in pairs])
    rows = []
    for file in track(files):
        restorer = _loaded(file)
        lost = float(best - np.mean([mean_score(restorer(blurred), sharp) for blurred, sharp in pairs]))
        compared = f"{len(pairs)} pairs"
        rows.append(ParityRow(variant, _format(file), compared, lost, max_lost_db, "dB", lost <= max_lost_db))
    return rows


def require_parity(rows: Sequence[ParityRow]) -> None:
    """Raise an UnblurError that names the worst comparison if any did not pass."""
    failed = [row for row in rows if not row.passed]
    if not failed:
        return
    worst = max(failed, key=lambda row: np.nan_to_num(row.figure / row.limit, nan=np.inf))
    msg = (
        f"{len(failed)} of {len(rows)} parity checks failed; the worst: {worst.variant}, {worst.format}, "
        f"{worst.compared}: {shown(worst)} from the PyTorch network (allowed: {worst.limit:g}); do not ship this file, "
        f"or raise {'quantize.max_lost_db' if worst.unit else 'export.tolerance'} if that much is acceptable"
    )
    raise UnblurError(msg)


def shown(row: ParityRow) -> str:
    """Return the figure as people read it."""
    return f"{row.figure:+.3f} dB lost" if row.unit else f"{row.figure:.1e}"


def _loaded(file: Path) -> Restorer:
    return load_restorer(file, runtime=RUNTIMES.get(file.suffix, "auto"), precision="f32")


def _format(file: Path) -> str:
    if file.name.endswith(".aoti.pt2"):
        return "aotinductor"
    return NAMES.get(file.suffix, file.suffix.lstrip("."))


def _random_batch(size: Sequence[int], task: str) -> Images:
    if len(size) != 3 or min(size) < 1:
        msg = f"export.sizes has {list(size)}: expected [batch, height, width], each at least 1"
        raise UnblurError(msg)
    batch, height, width = size
    frames = () if task == "image" else (FRAMES,)
    return np.random.default_rng(0).random((batch, *frames, 3, height, width), dtype=np.float32)


def _restored(network: nn.Module, image: Images) -> Images:
    with torch.inference_mode():
        restored: Images = network(torch.from_numpy(image)).numpy()
    return restored


def _difference(restorer: Restorer, image: Images, truth: Images) -> float:
    restored = restorer(image)
    if restored.shape != truth.shape:
        return float("inf")
    return float(np.abs(restored.astype(np.float64) - truth).max())
