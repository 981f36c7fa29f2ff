"""Noise of the sensor: Poisson-Gaussian in linear light (Foi et al. 2008, IEEE TIP 17(10))."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, check_range, random_seed

MID_GREY = 0.18
"""The linear value of a grey card, at which noise is specified."""


@dataclass(frozen=True)
class SensorNoise:
    """Noise whose standard deviation at mid grey lies between `min_std` and `max_std` (linear light).

    Of its variance there, a share between `min_shot` and `max_shot` is shot noise, which grows with the light; the
    rest is read noise, the same everywhere: 1 % for 350 electrons at mid grey and 2 of read noise.
    """

    min_std: float
    max_std: float
    min_shot: float = 0.95
    max_shot: float = 0.995

    def __post_init__(self) -> None:
        check_range("sensor noise, standard deviation at mid grey", self.min_std, self.max_std)
        check_range("sensor noise, share of shot noise", self.min_shot, self.max_shot)
        check_range("sensor noise, share of read noise", 1 - self.max_shot, 1 - self.min_shot)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the noise of one exposure."""
        std = rng.uniform(self.min_std, self.max_std)
        share = rng.uniform(self.min_shot, self.max_shot)
        return {
            "noise_shot": share * std**2 / MID_GREY,
            "noise_read": std * math.sqrt(1 - share),
            "noise_seed": random_seed(rng),
        }

    @staticmethod
    def apply(linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3) with noise; values may leave [0, 1].

        Photon counts are drawn from the normal distribution of their mean and variance, which is about ten times
        faster than Poisson's and, above ten photons or so, cannot be told from it.
        """
        rng = np.random.default_rng(int(parameters["noise_seed"]))
        noise = rng.standard_normal(linear.shape, dtype=np.float32)
        noise *= np.sqrt(variance(linear, parameters["noise_shot"], parameters["noise_read"]))
        noise += linear
        return noise


def variance(linear: Linear, shot: float, read: float) -> NDArray[np.float32]:
    """Return the noise's variance at each value: `shot` times the light, plus `read` squared."""
    return np.float32(shot) * np.maximum(linear, 0) + np.float32(read**2)
