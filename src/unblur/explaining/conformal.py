"""A bound on each pixel's error that holds for a promised share of them: conformal calibration on pairs with a truth.

How large an error is to be expected at a pixel, its scale, is told by what can be seen without the truth: a linear
model of logarithms. The bound is that scale times the conformal quantile of error / scale (normalised conformal
prediction, Papadopoulos et al. 2002). Of nearly sharp pictures the quantile is another than of blurred ones (Mondrian
conformal prediction, Vovk et al. 2003); which a picture is, is not known but told by a logistic model of what can be
seen, and its factor lies between both accordingly. Each scene's ratios are taken with models that were fitted without
that scene (cross-conformal, Vovk 2015): pixels of one photograph resemble each other, a new photograph does not. What
the bounds reach is measured on other pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Traits = NDArray[np.float64]
SIGNS, TRAITS = 2, 3
PIXELS = 20_000  # of a pair that are looked at
ROUNDS = 40  # in which the factors of both kinds settle
LEAST_TRAIT = 1e-4  # below, its logarithm would tell of rounding alone
LEAST = 1 / 255  # of white: below one step, how small a sign is tells nothing more
FLOOR = 1 / 1020  # of white: added to errors, whose logarithm would else be held by the zeros


@dataclass(frozen=True)
class Calibration:
    """Bounds on the error, as they were measured with the model of `model_sha256` on `pairs` pairs of `scenes` scenes.

    The scale of the error is exp(weights[0] + sum of weights[1:] * log(signs + LEAST)), in units of white. The chance
    that a picture is nearly sharp is the logistic function of kind[0] + sum of kind[1:] * traits. The bound is the
    scale times `blurred`, or times `sharp` where that is certain; in between, its logarithm is, by the chance.
    """

    model_sha256: str
    level: float
    pairs: int
    scenes: int
    weights: tuple[float, float, float]
    kind: tuple[float, float, float, float]
    sharp: float
    blurred: float

    def bound(self, signs: Field, traits: Traits) -> Field:
        """Return (H, W): below it the error lies, for `level` of all pixels, of signs (SIGNS, H, W)."""
        chance = float(_chance(traits[None], np.array(self.kind))[0])
        factor = self.sharp**chance * self.blurred ** (1 - chance)
        return np.asarray(factor * _scale(signs, np.array(self.weights)), np.float32)


def signs_of(before: Field, after: Field) -> Field:
    """Return (SIGNS, H, W): what tells of an error without the truth, of input and answer (H, W, 3) in [0, 1].

    How steep the input is close by, and how much the model has changed there, both in units of white.
    """
    luma = cv2.GaussianBlur(before.mean(axis=2), (0, 0), 1.0)
    slope = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(luma, cv2.CV_32F, 0, 1) / 8)
    steep = np.sqrt(cv2.GaussianBlur(slope**2, (0, 0), 1.5))
    change = np.sqrt(cv2.GaussianBlur(error_of(after, before) ** 2, (0, 0), 2.0))
    return np.stack([steep, change]).astype(np.float32)


def traits_of(before: Field, after: Field, extent: float) -> Traits:
    """Return (TRAITS,): what tells a nearly sharp picture from a blurred one, of input and answer (H, W, 3) in [0, 1].

    Logarithms of the `extent` of blur that the model's correction tells (see `from_correction`), in pixels; of the
    correction's size, in units of the input's finest detail; and of this, in units of the next coarser detail.
    """
    luma = before.mean(axis=2)
    smooth = [cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in (0.5, 1.0, 2.0)]
    finest, coarser = (float(np.sqrt(((one - other) ** 2).mean())) for one, other in pairwise(smooth))
    change = float(np.sqrt((error_of(after, before) ** 2).mean()))
    extent, change, finest, coarser = (
        float(np.log(max(value, LEAST_TRAIT))) for value in (extent + 0.1, change, finest, coarser)
    )
    return np.array([extent, change - finest, finest - coarser])


def error_of(after: Field, truth: Field) -> Field:
    """Return (H, W): the root mean square error over the colours of each pixel."""
    return np.asarray(np.sqrt(((after - truth) ** 2).mean(axis=2)), np.float32)


def calibrate(
    signs: Sequence[Field],
    errors: Sequence[Field],
    scenes: Sequence[str],
    traits: Sequence[Traits],
    sharp: Sequence[bool],
    *,
    model_sha256: str,
    level: float = 0.9,
    pixels: int = PIXELS,
    seed: int = 0,
) -> Calibration:
    """Return the bounds that hold for `level` of the pixels of these pairs, each with as much say as the others.

    Args:
        signs: (SIGNS, H, W) of each pair.
        errors: (H, W) of each pair.
        scenes: name of each pair's scene; where there is one alone, its ratios are taken with its own scale.
        traits: (TRAITS,) of each pair.
        sharp: which pairs are nearly sharp; where all are, or none is, there is one factor.
        model_sha256: of the model.
        level: share of pixels below their bound.
        pixels: of a pair that are looked at.
        seed: of which pixels are looked at.
    """
    rng = np.random.default_rng(seed)
    seen, missed = [], []
    for sign, error in zip(signs, errors, strict=True):
        chosen = rng.integers(0, error.size, pixels)
        seen.append(sign.reshape(SIGNS, -1)[:, chosen])
        missed.append(error.ravel()[chosen])
    every, wrong = np.concatenate(seen, axis=1), np.concatenate(missed)
    seen_whole, is_sharp = np.stack(traits), np.asarray(sharp, bool)
    names, scene = np.unique(np.asarray(scenes), return_inverse=True)
    ratios, chances = np.zeros((len(errors), pixels)), np.zeros(len(errors))
    for number in range(len(names)):
        own = scene == number
        others = ~own if len(names) > 1 else own
        mine, theirs = np.repeat(own, pixels), np.repeat(others, pixels)
        scale = _scale(every[:, mine], _fitted(every[:, theirs], wrong[theirs]))
        ratios[own] = (wrong[mine] / scale).reshape(-1, pixels)
        chances[own] = _chance(seen_whole[own], _kind(seen_whole[others], is_sharp[others]))
    of_sharp, of_blurred = _factors(np.log(ratios + 1e-9), chances, is_sharp, level)
    constant, steep, change = map(float, _fitted(every, wrong))
    first, *others_of_kind = map(float, _kind(seen_whole, is_sharp))
    one, two, three = others_of_kind
    weights, kind = (constant, steep, change), (first, one, two, three)
    return Calibration(model_sha256, level, len(errors), len(names), weights, kind, of_sharp, of_blurred)


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


def _factors(
    logs: NDArray[np.float64], chances: NDArray[np.float64], sharp: NDArray[np.bool_], level: float
) -> tuple[float, float]:
    """Return the factors of nearly sharp and of blurred pictures with which each kind is covered, and so are all.

    Args:
        logs: logarithms of error over scale, (pairs, pixels).
        chances: (pairs,) that a pair is nearly sharp, as it is told without the truth.
        sharp: (pairs,) whether it is.
        level: share of pixels below their bound.
    """
    if sharp.all() or not sharp.any():
        one = float(np.exp(_quantile(logs.ravel(), level)))
        return one, one
    # Where traits tell little, no pair is certain to be of its kind, and the factor of one that is would be beyond all
    # that was seen.
    own = np.quantile(logs, level, axis=1)
    factors = np.zeros(2)
    shares = np.stack([chances, 1 - chances])
    kinds = sharp, ~sharp
    for _ in range(ROUNDS):  # as a pair of one kind may be taken for the other, each factor depends on both
        beyond = logs - (factors @ shares)[:, None]
        factors += [_quantile(beyond[kind].ravel(), level) / 2 for kind in kinds]
        factors = np.clip(factors, own.min(), own.max())
    factors += _quantile((logs - (factors @ shares)[:, None]).ravel(), level)
    return float(np.exp(factors[0])), float(np.exp(factors[1]))


def _kind(traits: NDArray[np.float64], sharp: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weights of the logistic model by Newton's method, with a ridge, of traits (pairs, TRAITS)."""
    if sharp.all() or not sharp.any():
        return np.zeros(1 + TRAITS)
    mean, spread = traits.mean(axis=0), traits.std(axis=0) + 1e-9
    terms = np.concatenate([np.ones((len(traits), 1)), (traits - mean) / spread], axis=1)
    ridge = np.array([1e-6, *[1.0] * TRAITS])
    weights = np.zeros(1 + TRAITS)
    for _ in range(ROUNDS):
        chance = _logistic(terms @ weights)
        hessian = (terms * (chance * (1 - chance))[:, None]).T @ terms + np.diag(ridge)
        weights = weights + np.linalg.solve(hessian, terms.T @ (sharp - chance) - ridge * weights)
    slopes = weights[1:] / spread
    return np.array([weights[0] - slopes @ mean, *slopes])


def _chance(traits: NDArray[np.float64], kind: NDArray[np.float64]) -> NDArray[np.float64]:
    return _logistic(kind[0] + traits @ kind[1:])


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float64)


def _quantile(values: NDArray[np.float64], level: float) -> float:
    """Return the conformal quantile: of n values the one of rank ceil((n + 1) level), at most the largest."""
    rank = min(int(np.ceil((len(values) + 1) * level)), len(values))
    return float(np.partition(values, rank - 1)[rank - 1])
