"""Camera shake: point-spread functions of random trajectories (Boracchi and Foi 2012, IEEE TIP 21(8)).

The image of a point moves at constant speed while its direction keeps its inertia, is disturbed at random, is pulled
back to where the exposure began, and is now and then thrown back by a jolt.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.convolve import convolve
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, between, check_range, random_seed
from unblur.blur.psf import PSF, diameter, splat
from unblur.errors import UnblurError

STEPS = 256
_PIXELS_A_STEP = 0.25


@dataclass(frozen=True)
class CameraShake:
    """Shake whose PSF is `min_extent` to `max_extent` pixels across; an extent of 0 is the identity.

    Each shake draws uniformly how much its direction wanders (`jitter`, radians of standard deviation over the
    exposure), how strongly it is pulled back (`pull`, radians of oscillation over the exposure) and how many jolts it
    takes on average (`jolts`), up to the maxima given here. Of the path that these give, the shutter sees the first
    part, `min_exposure` to all of it: the shorter, the straighter.
    """

    min_extent: float
    max_extent: float
    max_jitter: float = 2.2
    max_pull: float = 10.0
    max_jolts: float = 1.5
    min_exposure: float = 1.0

    def __post_init__(self) -> None:
        check_range("camera shake, extent in pixels", self.min_extent, self.max_extent)
        if not 0 < self.min_exposure <= 1:
            msg = f"camera shake, min_exposure: got {self.min_exposure}; expected more than 0 and at most 1"
            raise UnblurError(msg)

    def draw(self, rng: Generator, level: float) -> dict[str, float]:
        """Draw the parameters of one shake."""
        return {
            "extent": between(self.min_extent, self.max_extent, level),
            "jitter": rng.uniform(0, self.max_jitter),
            "pull": rng.uniform(0, self.max_pull),
            "jolts": rng.uniform(0, self.max_jolts),
            "trajectory_seed": random_seed(rng),
            "exposure": rng.uniform(self.min_exposure, 1),
        }

    def strength(self, parameters: Parameters) -> float:
        """Return the extent of the PSF in pixels."""
        return parameters["extent"]

    def margin(self, parameters: Parameters) -> int:
        """Return the PSF's largest possible half side in pixels."""
        return int(parameters["extent"]) + 1

    def apply(self, linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3) convolved with the shake's PSF."""
        return convolve(linear, self.psf(parameters))

    def psf(self, parameters: Parameters) -> PSF:
        """Return the PSF (K, K) of these parameters."""
        rng = np.random.default_rng(int(parameters["trajectory_seed"]))
        path = trajectory(rng, parameters["jitter"], parameters["pull"], parameters["jolts"])
        path = path[: 1 + max(1, round(parameters["exposure"] * STEPS))]
        path *= parameters["extent"] / diameter(path)
        # A long path is filled in, so that its steps do not show as separate dots.
        count = max(STEPS, int(np.abs(np.diff(path)).sum() / _PIXELS_A_STEP))
        return splat(np.interp(np.linspace(0, len(path) - 1, count + 1), np.arange(len(path)), path))


def trajectory(rng: Generator, jitter: float, pull: float, jolts: float) -> NDArray[np.complex128]:
    """Return the places x + iy (STEPS + 1,) of a path of length 1 that starts at 0, at equal times.

    The velocity v has length 1 throughout. In each step dt it gains a random term (standard deviation `jitter` times
    the root of dt in each axis), the pull -pull^2 x dt, and, with probability `jolts` dt, a jolt of -2v turned by up
    to half a radian.
    """
    dt = 1 / STEPS
    noise = (rng.standard_normal(STEPS) + 1j * rng.standard_normal(STEPS)) * jitter * np.sqrt(dt)
    jolt = np.where(rng.random(STEPS) < jolts * dt, -2 * np.exp(1j * rng.uniform(-0.5, 0.5, STEPS)), 0)
    place, velocity = 0j, complex(np.exp(1j * rng.uniform(0, 2 * np.pi)))
    places = [place]
    for push, throw in zip(noise.tolist(), jolt.tolist(), strict=True):
        velocity += push + throw * velocity - pull * pull * place * dt
        velocity /= abs(velocity) or 1
        place += velocity * dt
        places.append(place)
    return np.array(places)
