"""Softness that grows to the corners: field curvature and astigmatism widen the spot with the distance from the axis.

To third order both grow with the square of that distance (Welford 1986, Aberrations of Optical Systems, chapter 8);
real lenses, corrected to higher orders, stay sharp longer and fall off faster, so the power is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, between, check_range
from unblur.errors import UnblurError

LEVELS = 4
"""Convolutions besides the sharp image, between which each pixel interpolates."""

_REACH = 3.5
"""Half side of a PSF in standard deviations; beyond it lie 0.2 % of a Gaussian's light."""


@dataclass(frozen=True)
class CornerSoftness:
    """Gaussian PSFs of an extent (four standard deviations) that grows from 0 on the axis to that of the corners.

    There it is `min_extent` to `max_extent` pixels; 0 is the identity. Of a training crop it makes a small photograph,
    soft in the corners of its own.

    Attributes:
        min_extent: of the weakest lens in the corner, in pixels.
        max_extent: of the strongest.
        power: range of the power of the distance from the axis with which the extent grows.
        decentring: largest distance of the axis from the image's middle, as a share of the half diagonal.
    """

    min_extent: float
    max_extent: float
    power: Sequence[float] = (2.0, 4.0)
    decentring: float = 0.1

    def __post_init__(self) -> None:
        check_range("corner softness, extent in pixels", self.min_extent, self.max_extent)
        if len(self.power) != 2 or not 0 < self.power[0] <= self.power[1] < np.inf:
            msg = f"corner softness, power: got {list(self.power)}; expected 0 < min <= max. Change it in conf/blur."
            raise UnblurError(msg)
        if not 0 <= self.decentring < 1:
            msg = f"corner softness, decentring: got {self.decentring}; expected 0 <= decentring < 1"
            raise UnblurError(msg)

    def draw(self, rng: Generator, level: float) -> dict[str, float]:
        """Draw the parameters of one lens."""
        axis = rng.uniform(0, self.decentring) * np.exp(1j * rng.uniform(0, 2 * np.pi))
        return {
            "extent": between(self.min_extent, self.max_extent, level),
            "power": rng.uniform(self.power[0], self.power[1]),
            "axis_x": float(axis.real),
            "axis_y": float(axis.imag),
        }

    def strength(self, parameters: Parameters) -> float:
        """Return the extent of the PSF in the corner that is farthest from the axis, in pixels."""
        return parameters["extent"]

    def margin(self, parameters: Parameters) -> int:
        """Return the half side in pixels of the corner's PSF."""
        return _half(parameters["extent"] / 4)

    def apply(self, linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3), each pixel convolved with its own PSF.

        Between two convolutions a pixel takes that share of each which gives it the variance of its place. Its PSF
        stays symmetric, so nothing moves, and has energy 1, so a constant image stays constant. Of a photograph the
        light is kept up to a share of the order of (extent / height)^2, as a pixel gathers by its own PSF and not by
        those of the points it gathers from.
        """
        widest = parameters["extent"] / 4
        if widest == 0:
            return linear.copy()
        place = LEVELS * relative_variance(linear.shape[:2], parameters)[..., None]  # (H, W, 1)
        soft = np.zeros_like(linear)
        for level in range(LEVELS + 1):
            share = np.maximum(1 - np.abs(place - level), 0)
            soft += share * _gaussian(linear, widest * float(np.sqrt(level / LEVELS)))
        return soft


def relative_variance(size: Sequence[int], parameters: Parameters) -> NDArray[np.float32]:
    """Return the variance of each pixel's PSF (H, W) as a share of the corner's; 0 on the axis, 1 in that corner."""
    height, width = size
    half = np.hypot(height, width) / 2
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / half - parameters["axis_x"]
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / half - parameters["axis_y"]
    square = x[None, :] ** 2 + y[:, None] ** 2
    share: NDArray[np.float32] = square / max(float(square.max()), 1e-12)  # a single pixel lies on the axis
    return share ** np.float32(parameters["power"])


def _gaussian(linear: Linear, deviation: float) -> Linear:
    if deviation == 0:
        return linear
    side = 2 * _half(deviation) + 1
    blurred: Linear = cv2.GaussianBlur(linear, (side, side), deviation, borderType=cv2.BORDER_REFLECT)
    return blurred


def _half(deviation: float) -> int:
    return int(np.ceil(_REACH * deviation))
