"""What each entrant loses against the trained network in PyTorch in float32, on the pairs that training did not see."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unblur.benchmark.entrants import REFERENCE
from unblur.benchmark.runtimes import Images, Restores
from unblur.data.manifest import PairRow
from unblur.evaluation.score import read_pair, restore_checked
from unblur.metrics.profiles import get_profile

PSNR, SSIM = "psnr/literature", "ssim/per-channel"
Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Quality:
    """Means over pairs.

    Attributes:
        psnr: in dB, profile psnr/literature.
        ssim: profile ssim/per-channel.
        lost_db: PSNR of the reference less this one.
        colour_shift: largest over the channels of |mean(restored) - mean(the reference's)|, in steps of 255.
    """

    psnr: float
    ssim: float
    lost_db: float
    colour_shift: float


def measure_quality(
    restorers: Mapping[str, Restores], rows: Sequence[PairRow], prepared: Path, track: Track = lambda rows: rows
) -> dict[str, Quality]:
    """Restore every pair with every entrant and compare it with the truth, and with the reference.

    Args:
        restorers: by name; `REFERENCE` is among them.
        rows: the pairs, of one split.
        prepared: the folder of the manifest.
        track: wraps `rows`, for a progress bar.

    Raises:
        UnblurError: a pair cannot be read, or an entrant gives values that are not finite.
    """
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in restorers}
    names = [REFERENCE, *(name for name in restorers if name != REFERENCE)]
    for row in track(rows):
        blurred, sharp = read_pair(row, prepared)
        reference = restore_checked(REFERENCE, restorers[REFERENCE], row.pair, blurred, sharp.shape)
        for name in names:
            restored = reference
            if name != REFERENCE:
                restored = restore_checked(name, restorers[name], row.pair, blurred, sharp.shape)
            seen, truth = (torch.from_numpy(each.reshape(-1, *each.shape[-3:])) for each in (restored, sharp))
            psnr, ssim = (float(get_profile(profile).compute(seen, truth).mean()) for profile in (PSNR, SSIM))
            figures[name].append((psnr, ssim, _colour_shift(restored, reference)))
    means = {name: np.mean(found, axis=0) for name, found in figures.items()}
    best = float(means[REFERENCE][0])
    return {name: Quality(float(p), float(s), best - float(p), float(c)) for name, (p, s, c) in means.items()}


def _colour_shift(restored: Images, reference: Images) -> float:
    """Return how far the mean colour moved."""
    channels = -3 % restored.ndim
    rest = tuple(axis for axis in range(restored.ndim) if axis != channels)
    shift = (restored.astype(np.float64) - reference).mean(axis=rest)
    return float(255 * np.abs(shift).max())
