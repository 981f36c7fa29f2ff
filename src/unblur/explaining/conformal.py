"""A bound on each pixel's error that holds for a promised share of them: conformal calibration on pairs with a truth.

Pixels are sorted into bins by what can be seen without the truth; each bin's bound is the quantile of the errors that
were measured in it (Mondrian conformal prediction, Vovk et al. 2005). What it reaches is measured on other pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.explaining.blur_map import from_spectrum

Field = NDArray[np.float32]
SIGNS = 3
BINS = 5  # of each sign
PIXELS = 20_000  # of a pair that are looked at


@dataclass(frozen=True)
class Calibration:
    """Bounds on the error by bin, as they were measured with the model of `model_sha256` on `pairs` pairs.

    `edges` are the inner borders of the bins of each sign, `bounds` one bound a bin, in units of white, flattened.
    """

    model_sha256: str
    level: float
    pairs: int
    edges: tuple[tuple[float, ...], ...]
    bounds: tuple[float, ...]

    def bound(self, signs: Field) -> Field:
        """Return (H, W): below it the error lies, for `level` of all pixels, of signs (SIGNS, H, W)."""
        found = np.array(self.bounds, np.float32)[_bins(signs, self.edges)]
        return np.asarray(found, np.float32)


def signs_of(before: Field) -> Field:
    """Return (SIGNS, H, W): what tells of an error without the truth, of an input (H, W, 3) in [0, 1].

    How steep it is there, how blurred it is there, and how blurred the whole picture is. The answer itself tells less:
    bounds by what a network changes held less evenly over weak and strong blur.
    """
    luma = cv2.GaussianBlur(before.mean(axis=2), (0, 0), 1.0)
    slope = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(luma, cv2.CV_32F, 0, 1) / 8)
    steep = np.sqrt(cv2.GaussianBlur(slope**2, (0, 0), 3.0))
    blur = from_spectrum(before)
    return np.stack([steep, blur.extent, np.full_like(steep, blur.typical)]).astype(np.float32)


def error_of(after: Field, truth: Field) -> Field:
    """Return (H, W): the root mean square error over the colours of each pixel."""
    return np.asarray(np.sqrt(((after - truth) ** 2).mean(axis=2)), np.float32)


def calibrate(
    signs: Sequence[Field], errors: Sequence[Field], model_sha256: str, level: float = 0.9, seed: int = 0
) -> Calibration:
    """Return the bounds that hold for `level` of the pixels of these pairs, each with as much say as the others.

    Args:
        signs: (SIGNS, H, W) of each pair.
        errors: (H, W) of each pair.
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
    inner = np.arange(1, BINS) / BINS
    edges = tuple(tuple(map(float, np.quantile(sign, inner))) for sign in every)
    bins = _bins(every, edges)
    whole = _quantile(wrong, level)
    bounds = [_quantile(wrong[bins == number], level, whole) for number in range(BINS**SIGNS)]
    return Calibration(model_sha256, level, len(errors), edges, tuple(bounds))


def coverage(bounds: Field, errors: Field) -> float:
    """Return the share of pixels whose error lies below its bound."""
    return float((errors <= bounds).mean())


def _quantile(values: Field, level: float, otherwise: float = 0.0) -> float:
    """Return the conformal quantile: of n values the one of rank ceil((n + 1) level); of few values `otherwise`."""
    rank = int(np.ceil((len(values) + 1) * level))
    if rank > len(values) or len(values) < 200:
        return otherwise
    return float(np.partition(values, rank - 1)[rank - 1])


def _bins(signs: Field, edges: Sequence[Sequence[float]]) -> NDArray[np.int64]:
    number = np.zeros(signs.shape[1:], np.int64)
    for sign, inner in zip(signs, edges, strict=True):
        number = number * BINS + np.searchsorted(np.asarray(inner, np.float32), sign)
    return number
