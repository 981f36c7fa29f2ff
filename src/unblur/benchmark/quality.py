"""What each candidate loses against the trained network in PyTorch in float32, on pairs that training did not see."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unblur.benchmark.candidates import REFERENCE
from unblur.benchmark.runtimes import Restores
from unblur.data.manifest import PairRow
from unblur.evaluation.fidelity import colour_shift, mean_score
from unblur.evaluation.fixed_pairs import read_pair, restore_checked

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
    """Restore every pair with every candidate and compare it with the truth, and with the reference.

    Args:
        restorers: by name; `REFERENCE` is among them.
        rows: the pairs, of one split.
        prepared: the folder of the manifest.
        track: wraps `rows`, for a progress bar.

    Raises:
        UnblurError: a pair cannot be read, or an candidate gives values that are not finite.
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
            psnr, ssim = (mean_score(restored, sharp, profile) for profile in (PSNR, SSIM))
            figures[name].append((psnr, ssim, colour_shift(restored, reference)))
    means = {name: np.mean(found, axis=0) for name, found in figures.items()}
    best = float(means[REFERENCE][0])
    return {name: Quality(float(p), float(s), best - float(p), float(c)) for name, (p, s, c) in means.items()}
