"""Spherical aberration and coma: point-spread functions as the spot diagram of Seidel's third-order rays.

A ray through the point z = x + iy of the pupil's unit disc lands off its mark by the gradient of the wavefront
(Welford 1986, Aberrations of Optical Systems, chapter 7). Up to a factor that is

    spherical   |z|^2 z - focus z       of the wavefront |z|^4 / 4 - focus |z|^2 / 2
    coma        2 |z|^2 + z^2           of the wavefront |z|^2 x

Diffraction is left out: at the apertures at which these aberrations show, its disc is about as large as a pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.convolve import convolve
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, between, check_range
from unblur.blur.psf import PSF, diameter, splat
from unblur.errors import UnblurError

_RAYS = 4096
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Aberration:
    """A lens whose spot is `min_extent` to `max_extent` pixels across; an extent of 0 is the identity.

    Attributes:
        min_extent: of the weakest spot, in pixels.
        max_extent: of the strongest.
        coma: range of its share, from 0 (spherical alone: a halo around a core) to 1 (coma alone: a comet).
        focus: range of the plane in which the sensor lies, from 0, where the rays of the pupil's middle meet, to 1,
            where those of its rim do; at 3/4 the spot is smallest, below 0 and above 1 defocus prevails.
    """

    min_extent: float
    max_extent: float
    coma: Sequence[float] = (0.0, 0.0)
    focus: Sequence[float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_range("aberration, extent in pixels", self.min_extent, self.max_extent)
        if len(self.coma) != 2 or not 0 <= self.coma[0] <= self.coma[1] <= 1:
            msg = f"aberration, coma: got {list(self.coma)}; expected 0 <= min <= max <= 1. Change it in conf/blur."
            raise UnblurError(msg)
        if len(self.focus) != 2 or not -np.inf < self.focus[0] <= self.focus[1] < np.inf:
            msg = f"aberration, focus: got {list(self.focus)}; expected min <= max. Change it in conf/blur."
            raise UnblurError(msg)

    def draw(self, rng: Generator, level: float) -> dict[str, float]:
        """Draw the parameters of one lens."""
        return {
            "extent": between(self.min_extent, self.max_extent, level),
            "coma": rng.uniform(self.coma[0], self.coma[1]),
            "focus": rng.uniform(self.focus[0], self.focus[1]),
            "direction": rng.uniform(0, 2 * np.pi),
        }

    def strength(self, parameters: Parameters) -> float:
        """Return the extent of the PSF in pixels."""
        return parameters["extent"]

    def margin(self, parameters: Parameters) -> int:
        """Return the PSF's largest possible half side in pixels."""
        return int(parameters["extent"]) + 1

    def apply(self, linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3) convolved with the lens's PSF."""
        return convolve(linear, self.psf(parameters))

    def psf(self, parameters: Parameters) -> PSF:
        """Return the PSF (K, K) of these parameters."""
        rays = spot(parameters["coma"], parameters["focus"])
        turned = rays * np.exp(1j * parameters["direction"]) * (parameters["extent"] / diameter(rays))
        return splat(turned)


def spot(coma: float, focus: float) -> NDArray[np.complex128]:
    """Return where 4096 rays, spread evenly over the pupil, meet the sensor: x + iy (4096,), the comet's tail along x.

    The two aberrations are weighted by `coma` and 1 - `coma` after each is brought to a width of about 1.
    """
    pupil = _pupil()
    square = np.abs(pupil) ** 2
    spherical = (square - focus) * pupil
    comet = (2 * square + pupil**2) / 3
    return (1 - coma) * spherical + coma * comet


@cache
def _pupil() -> NDArray[np.complex128]:
    """Return points x + iy of the unit disc of equal areas, in Vogel's spiral: a lattice would show as a pattern."""
    index = np.arange(_RAYS)
    points: NDArray[np.complex128] = np.sqrt((index + 0.5) / _RAYS) * np.exp(1j * _GOLDEN_ANGLE * index)
    return points
