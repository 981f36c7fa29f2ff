"""Paired bootstrap: how far the mean difference of two methods can be trusted (Efron & Tibshirani 1993, chapter 14)."""

import warnings
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
    differences: NDArray[np.floating[Any]], confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> Interval:
    """Return the mean of paired differences with its BCa bootstrap interval, by SciPy.

    The pairs are resampled with replacement. Bias-corrected and accelerated (BCa), the interval follows skewed
    differences, where the plain percentiles of few pairs are too narrow. Where all pairs differ by the same, or there
    is one, the interval is its mean.

    Args:
        differences: (N,) score of one method minus that of the other on the same pair, in dB for a PSNR.
        confidence: between 0 and 1, both excluded.
        samples: number of resampled means.
        seed: the same seed gives the same interval.

    Raises:
        UnblurError: no differences, one that is not finite, or `confidence` or `samples` out of range.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        msg = f"differences of shape {values.shape}: expected one value a pair, at least one"
        raise UnblurError(msg)
    if not np.isfinite(values).all():
        msg = f"{int((~np.isfinite(values)).sum())} of {values.size} differences are not finite; score the pairs again"
        raise UnblurError(msg)
    if not 0 < confidence < 1 or samples < 1:
        msg = f"confidence {confidence} and samples {samples}: expected 0 < confidence < 1 and samples >= 1"
        raise UnblurError(msg)
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    from scipy import stats  # takes half a second to import

    batch = max(1, DRAWS_AT_ONCE // values.size)
    options = {"confidence_level": confidence, "batch": batch, "vectorized": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap((values,), np.mean, n_resamples=samples, method="BCa", rng=seed, **options)
        if not np.isfinite(found.confidence_interval).all():  # resampled means all lie on one side
            found = stats.bootstrap(
                (values,), np.mean, n_resamples=0, method="percentile", bootstrap_result=found, **options
            )
    low, high = found.confidence_interval
    return Interval(mean, float(low), float(high))
