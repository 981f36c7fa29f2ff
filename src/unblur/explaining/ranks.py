"""Spearman's rank correlation. SciPy's takes 0.6 s to import, of the ten that a region's explanation takes."""

import numpy as np
from numpy.typing import NDArray


def rank_correlations(one: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank correlation of (N,) with each column of (N, C), 0 where one of both is the same all over."""
    first, second = (each - each.mean(axis=0) for each in (_ranks(one[:, None]), _ranks(others)))
    size = np.sqrt((first**2).sum() * (second**2).sum(axis=0))
    return np.asarray((first * second).sum(axis=0) / np.where(size > 0, size, 1.0))


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return that of (N,) and (N,)."""
    return float(rank_correlations(one, other[:, None])[0])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value in its column of (N, C), from 0.5 on; equal ones share the mean of theirs."""

    def ranks(column: NDArray[np.float64]) -> NDArray[np.float64]:
        ordered = np.sort(column)
        return (np.searchsorted(ordered, column) + np.searchsorted(ordered, column, side="right")) / 2

    return np.apply_along_axis(ranks, 0, values)
