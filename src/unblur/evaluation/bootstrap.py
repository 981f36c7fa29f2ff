"""Paired bootstrap: how far the mean difference of two methods can be trusted (Efron & Tibshirani 1993, chapter 14)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError

DRAWS_AT_ONCE = 2_000_000  # resampled values held in memory together: 16 MB of indices


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, in the unit of the differences."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    differences: NDArray[np.floating[Any]],
    scenes: Sequence[str],
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean of paired differences with its BCa bootstrap interval, by SciPy.

    Scenes are resampled with replacement, each with all of its pairs (Davison & Hinkley 1997, section 3.8): six blurs
    of one photograph say less about other photographs than six photographs do. Where there is one scene, its pairs are
    resampled, and the interval is about that scene alone. Bias-corrected and accelerated (BCa), the interval follows
    skewed differences, where the plain percentiles of few values are too narrow. Where all scenes differ by the same,
    or there is one pair, the interval is its mean.

    Args:
        differences: (N,) score of one method minus that of the other on the same pair, in dB for a PSNR.
        scenes: (N,) what each pair was made of.
        confidence: between 0 and 1, both excluded.
        samples: number of resampled means.
        seed: the same seed gives the same interval.

    Raises:
        UnblurError: no differences, one that is not finite or has no scene, or `confidence` or `samples` out of range.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        msg = f"differences of shape {values.shape}: expected one value a pair, at least one"
        raise UnblurError(msg)
    if len(scenes) != values.size:
        msg = f"{len(scenes)} scenes for {values.size} differences: expected one a pair"
        raise UnblurError(msg)
    if not np.isfinite(values).all():
        msg = f"{int((~np.isfinite(values)).sum())} of {values.size} differences are not finite; score the pairs again"
        raise UnblurError(msg)
    if not 0 < confidence < 1 or samples < 1:
        msg = f"confidence {confidence} and samples {samples}: expected 0 < confidence < 1 and samples >= 1"
        raise UnblurError(msg)
    mean = float(values.mean())
    names, owner = np.unique(np.asarray(scenes), return_inverse=True)
    owner = owner if len(names) > 1 else np.arange(values.size)
    counts = np.bincount(owner)
    sums = np.bincount(owner, weights=values)
    if np.ptp(sums / counts) == 0:
        return Interval(mean, mean, mean)
    from scipy import stats  # takes half a second to import

    batch = max(1, DRAWS_AT_ONCE // counts.size)
    options = {"confidence_level": confidence, "batch": batch, "vectorized": True, "paired": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap((sums, counts), _mean, n_resamples=samples, method="BCa", rng=seed, **options)
        if not np.isfinite(found.confidence_interval).all():  # resampled means all lie on one side
            found = stats.bootstrap(
                (sums, counts), _mean, n_resamples=0, method="percentile", bootstrap_result=found, **options
            )
    low, high = found.confidence_interval
    return Interval(mean, float(low), float(high))


def _mean(sums: NDArray[np.float64], counts: NDArray[np.int64], axis: int = -1) -> NDArray[np.float64]:
    """Return the mean over the pairs of scenes whose differences have these sums."""
    return np.asarray(sums.sum(axis) / counts.sum(axis))
