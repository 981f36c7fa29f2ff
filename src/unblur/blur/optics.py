"""Blur by the lens: defocus, whose point-spread function is the image of the aperture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from unblur.blur.convolve import convolve
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, between, check_range
from unblur.blur.psf import PSF
from unblur.errors import UnblurError

_SUBPIXELS = 8


@dataclass(frozen=True)
class Defocus:
    """An aperture of `min_radius` to `max_radius` pixels; `blades` are drawn from: 0 is a disc, n >= 3 a polygon.

    Its strength is the diameter. A radius of up to half a pixel is the identity. Away from the middle of the picture
    the lens's rims cut the aperture from two sides to a cat's eye: up to `max_vignetting` of the radius from each.
    """

    min_radius: float
    max_radius: float
    blades: Sequence[int] = (0,)
    max_vignetting: float = 0.0

    def __post_init__(self) -> None:
        check_range("defocus, radius in pixels", self.min_radius, self.max_radius)
        if not self.blades or any(blades in (1, 2) or blades < 0 for blades in self.blades):
            msg = f"defocus, blades: got {list(self.blades)}; expected numbers that are 0 (a disc) or at least 3"
            raise UnblurError(msg)
        if not 0 <= self.max_vignetting < 1:
            msg = f"defocus, vignetting: got {self.max_vignetting}; expected a share of the radius from 0 to below 1"
            raise UnblurError(msg)

    def draw(self, rng: Generator, level: float) -> dict[str, float]:
        """Draw the parameters of one defocus."""
        drawn = {
            "radius": between(self.min_radius, self.max_radius, level),
            "blades": int(self.blades[int(rng.integers(len(self.blades)))]),
            "rotation": rng.uniform(0, 2 * np.pi),
        }
        if self.max_vignetting:  # otherwise nothing is drawn for it, and recipes without it keep their numbers
            drawn |= {"vignetting": rng.uniform(0, self.max_vignetting), "rims": rng.uniform(0, 2 * np.pi)}
        return drawn

    def strength(self, parameters: Parameters) -> float:
        """Return the diameter of the aperture's image in pixels."""
        return 2 * parameters["radius"]

    def margin(self, parameters: Parameters) -> int:
        """Return the PSF's half side in pixels."""
        return int(parameters["radius"]) + 1

    def apply(self, linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3) convolved with the aperture's image."""
        return convolve(linear, self.psf(parameters))

    def psf(self, parameters: Parameters) -> PSF:
        """Return the PSF (K, K) of these parameters."""
        rims = parameters.get("vignetting", 0.0), parameters.get("rims", 0.0)
        return aperture(parameters["radius"], int(parameters["blades"]), parameters["rotation"], *rims)


def aperture(radius: float, blades: int = 0, rotation: float = 0.0, vignetting: float = 0.0, rims: float = 0.0) -> PSF:
    """Return the antialiased image (K, K) of a disc, or of a regular polygon with `blades` corners on that circle.

    A pixel holds the share of it that is covered, counted on 8 x 8 points. `rotation` is the angle of a corner from
    the x axis towards y, in radians. `vignetting` in [0, 1) is how far, in radii, the circles of the front and the
    rear rim are moved along the angle `rims`, in opposite directions: what lies within both and the aperture is lit.
    """
    half = int(radius) + 1
    side = 2 * half + 1
    offset = (np.arange(side * _SUBPIXELS) + 0.5) / _SUBPIXELS - side / 2
    x, y = offset[None, :], offset[:, None]
    reach = np.hypot(x, y)
    if blades:
        # The distance along the normal of the edge that lies in the point's direction, against that of the edge.
        sector = 2 * np.pi / blades
        angle = (np.arctan2(y, x) - rotation) % sector - sector / 2
        reach = reach * np.cos(angle) / np.cos(sector / 2)
    if vignetting:
        for shift in (vignetting * radius, -vignetting * radius):
            reach = np.maximum(reach, np.hypot(x - shift * np.cos(rims), y - shift * np.sin(rims)))
    covered = (reach <= radius).reshape(side, _SUBPIXELS, side, _SUBPIXELS).sum(axis=(1, 3), dtype=np.float64)
    if radius <= 0.5 or not covered.any():
        covered = np.zeros((side, side))
        covered[half, half] = 1
    psf: PSF = (covered / covered.sum()).astype(np.float32)
    return psf
