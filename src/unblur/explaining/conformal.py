"""A bound on each pixel's error that holds for a promised share of them: conformal calibration on pairs with a truth.

How large an error is to be expected at a pixel, its scale, is told by what can be seen without the truth: a linear
model of logarithms. The bound is that scale times the conformal quantile of error / scale (normalised conformal
prediction, Papadopoulos et al. 2002). Each scene's ratios are taken with a scale that was fitted without that scene
(cross-conformal, Vovk 2015): pixels of one photograph resemble each other, a new photograph does not. What the bounds
reach is measured on other pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
SIGNS = 2
PIXELS = 20_000  # of a pair that are looked at
LEAST = 1 / 255  # of white: below one step, how small a sign is tells nothing more
FLOOR = 1 / 1020  # of white: added to errors, whose logarithm would else be held by the zeros


@dataclass(frozen=True)
class Calibration:
    """Bounds on the error, as they were measured with the model of `model_sha256` on `pairs` pairs of `scenes` scenes.

    The scale of the error is exp(weights[0] + sum of weights[1:] * log(signs + LEAST)), in units of white; the bound
    is `factor` times that.
    """

    model_sha256: str
    level: float
    pairs: int
    scenes: int
    weights: tuple[float, float, float]
    factor: float

    def bound(self, signs: Field) -> Field:
        """Return (H, W): below it the error lies, for `level` of all pixels, of signs (SIGNS, H, W)."""
        return np.asarray(self.factor * _scale(signs, np.array(self.weights)), np.float32)


def signs_of(before: Field, after: Field) -> Field:
    """Return (SIGNS, H, W): what tells of an error without the truth, of input and answer (H, W, 3) in [0, 1].

    How steep the input is close by, and how much the model has changed there, both in units of white.
    """
    luma = cv2.GaussianBlur(before.mean(axis=2), (0, 0), 1.0)
    slope = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(luma, cv2.CV_32F, 0, 1) / 8)
    steep = np.sqrt(cv2.GaussianBlur(slope**2, (0, 0), 1.5))
    change = np.sqrt(cv2.GaussianBlur(error_of(after, before) ** 2, (0, 0), 2.0))
    return np.stack([steep, change]).astype(np.float32)


def error_of(after: Field, truth: Field) -> Field:
    """Return (H, W): the root mean square error over the colours of each pixel."""
    return np.asarray(np.sqrt(((after - truth) ** 2).mean(axis=2)), np.float32)


def calibrate(
    signs: Sequence[Field],
    errors: Sequence[Field],
    scenes: Sequence[str],
    *,
    model_sha256: str,
    level: float = 0.9,
    seed: int = 0,
) -> Calibration:
    """Return the bounds that hold for `level` of the pixels of these pairs, each with as much say as the others.

    Args:
        signs: (SIGNS, H, W) of each pair.
        errors: (H, W) of each pair.
        scenes: name of each pair's scene; where there is one alone, its ratios are taken with its own scale.
        model_sha256: of the model.
        level: share of pixels below their bound.
        seed: of which pixels are looked at.
    """
    rng = np.random.default_rng(seed)
    seen, missed = [], []
    for sign, error in zip(signs, errors, strict=True):
        chosen = rng.integers(0, error.size, PIXELS)
        seen.append(sign.reshape(SIGNS, -1)[:, chosen])
        missed.append(error.ravel()[chosen])
    every, wrong = np.concatenate(seen, axis=1), np.concatenate(missed)
    of = np.repeat(np.asarray(scenes), PIXELS)
    names = np.unique(of)
    ratios = []
    for name in names:
        own = of == name
        others = ~own if len(names) > 1 else own
        ratios.append(wrong[own] / _scale(every[:, own], _fitted(every[:, others], wrong[others])))
    factor = _quantile(np.concatenate(ratios), level)
    constant, steep, change = map(float, _fitted(every, wrong))
    return Calibration(model_sha256, level, len(errors), len(names), (constant, steep, change), factor)


def coverage(bounds: Field, errors: Field) -> float:
    """Return the share of pixels whose error lies below its bound."""
    return float((errors <= bounds).mean())


def interval_by_scene(shares: Sequence[float], scenes: Sequence[str], confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval, within 0 and 1, of the mean of shares that were measured in several scenes.

    Pairs of one scene resemble each other, so that the scenes count: the variance is that of a ratio of sums by scene
    (a mean of clusters), and the interval Student's with one degree of freedom less than there are scenes. A bootstrap
    of four scenes would be about half as wide. Of one scene nothing can be said: 0 to 1.

    Args:
        shares: one a pair, between 0 and 1.
        scenes: name of each pair's scene.
        confidence: between 0 and 1, both excluded.
    """
    from scipy import stats  # takes half a second to import

    values = np.asarray(shares, np.float64)
    _, scene = np.unique(np.asarray(scenes), return_inverse=True)
    beyond = np.bincount(scene, values - values.mean())  # each scene's part in the sum of what differs from the mean
    count = len(beyond)
    if count == 1:
        return 0.0, 1.0
    error = np.sqrt(count / (count - 1) * (beyond**2).sum()) / len(values)
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1) * error)
    return max(float(values.mean()) - half, 0.0), min(float(values.mean()) + half, 1.0)


def _fitted(signs: Field, errors: Field) -> NDArray[np.float64]:
    """Return the weights of the scale by least squares of logarithms, of signs (SIGNS, N) and errors (N,)."""
    weights: NDArray[np.float64] = np.linalg.lstsq(_terms(signs).T, np.log(errors + FLOOR), rcond=None)[0]
    return weights


def _scale(signs: Field, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scale (...) of the error, of signs (SIGNS, ...)."""
    return np.asarray(np.exp(np.tensordot(weights, _terms(signs), axes=1)), np.float64)


def _terms(signs: Field) -> NDArray[np.float64]:
    """Return (1 + SIGNS, ...): what the logarithm of the scale is a weighted sum of."""
    logs = np.log(signs.astype(np.float64) + LEAST)
    return np.concatenate([np.ones_like(logs[:1]), logs])


def _quantile(values: NDArray[np.float64], level: float) -> float:
    """Return the conformal quantile: of n values the one of rank ceil((n + 1) level), at most the largest."""
    rank = min(int(np.ceil((len(values) + 1) * level)), len(values))
    return float(np.partition(values, rank - 1)[rank - 1])
