"""In which values an exposure is averaged: light, as a camera does, or what a video's frames hold, as datasets do.

Frame averages of the same motion differ by this choice (Nah et al. 2017, CVPR: GoPro's `blur` and `blur_gamma`), most
beside bright edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.frame_averaging import Gamma
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters
from unblur.errors import UnblurError


@dataclass(frozen=True)
class Averaging:
    """One of `gammas` is drawn, each as likely: sRGB values to that power are averaged, light itself by "srgb"."""

    gammas: Sequence[Gamma] = ("srgb",)

    def __post_init__(self) -> None:
        if not self.gammas or any(g != "srgb" and not (isinstance(g, int | float) and g > 0) for g in self.gammas):
            msg = f'averaging: got gammas {list(self.gammas)}; expected 1.0, 2.2, other numbers above 0, or "srgb"'
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the gamma of one exposure; for light itself there is none."""
        gamma = self.gammas[int(rng.integers(len(self.gammas)))]
        return {} if gamma == "srgb" else {"average_gamma": float(gamma)}


def values_of_light(linear: Linear, parameters: Parameters) -> Linear:
    """Return what is averaged of linear light (H, W, 3), which may exceed 1: its sRGB values to the drawn power."""
    if "average_gamma" not in parameters:
        return linear
    light = np.maximum(linear, 0)
    curve = 1.055 * _power(light, 1 / 2.4) - 0.055
    return _power(np.where(light <= 0.0031308, light * np.float32(12.92), curve), parameters["average_gamma"])


def light_of_values(values: Linear, parameters: Parameters) -> Linear:
    """Return the linear light (H, W, 3) of averaged values: what `values_of_light` does, undone."""
    if "average_gamma" not in parameters:
        return values
    codes = _power(np.maximum(values, 0), 1 / parameters["average_gamma"])
    curve = _power((codes + np.float32(0.055)) / np.float32(1.055), 2.4)
    light: Linear = np.where(codes <= 0.04045, codes / np.float32(12.92), curve)
    return light


def _power(values: NDArray[np.float32], exponent: float) -> NDArray[np.float32]:
    if exponent == 1:
        return values
    powers: NDArray[np.float32] = np.power(values, np.float32(exponent))
    return powers
