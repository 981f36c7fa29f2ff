"""Camera shake as motion of the camera: a blur that varies over the picture (Tai et al. 2011, IEEE TPAMI 33(8)).

The path comes from the random trajectories of camera shake (Boracchi and Foi 2012), one for each pair of axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from unblur.blur.camera_path import Poses, View, mean_picture, resampled, shaken_poses, steps
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, between, check_range, random_seed
from unblur.errors import UnblurError


@dataclass(frozen=True)
class CameraMotion:
    """A camera that turns and moves while it exposes; what moves most, moves over `min_extent` to `max_extent` pixels.

    An extent of 0 is the identity. The image is taken for a window of a larger picture: its size and place are drawn,
    so that a crop shows what parts of photographs show, from nearly even blur to rotation about a point inside it.

    Attributes:
        min_extent: of the weakest, in pixels.
        max_extent: of the strongest.
        max_jitter: largest jitter of the trajectories.
        max_pull: their largest pull.
        max_jolts: their largest mean number of jolts.
        max_sideways: how far movement along x and y shifts the picture, at most, relative to yaw and pitch.
        max_roll: how far roll shifts a corner of the picture, at most, relative to yaw and pitch.
        max_forwards: how far movement along the line of sight does so (zoom).
        focal: range of the focal length in half diagonals: 0.9 is a wide phone, 2.5 a portrait lens.
        min_window: smallest share of the picture's diagonal that the image is.
    """

    min_extent: float
    max_extent: float
    max_jitter: float = 2.2
    max_pull: float = 10.0
    max_jolts: float = 1.5
    max_sideways: float = 0.5
    max_roll: float = 1.5
    max_forwards: float = 0.5
    focal: Sequence[float] = (0.9, 2.5)
    min_window: float = 0.15

    def __post_init__(self) -> None:
        check_range("camera motion, extent in pixels", self.min_extent, self.max_extent)
        if len(self.focal) != 2 or not 0 < self.focal[0] <= self.focal[1]:
            msg = f"camera motion, focal: got {list(self.focal)}; expected 0 < min <= max. Change it in conf/blur."
            raise UnblurError(msg)
        if not 0 < self.min_window <= 1:
            msg = f"camera motion, min_window: got {self.min_window}; expected more than 0 and at most 1"
            raise UnblurError(msg)

    def draw(self, rng: Generator, level: float) -> dict[str, float]:
        """Draw the parameters of one exposure."""
        window = rng.uniform(self.min_window, 1)
        side = (1 - window) * np.sqrt(0.5)  # a window of that scale stays inside a square picture
        return {
            "extent": between(self.min_extent, self.max_extent, level),
            "jitter": rng.uniform(0, self.max_jitter),
            "pull": rng.uniform(0, self.max_pull),
            "jolts": rng.uniform(0, self.max_jolts),
            "sideways": rng.uniform(0, self.max_sideways),
            "roll": rng.uniform(0, self.max_roll),
            "forwards": rng.uniform(0, self.max_forwards),
            "focal": rng.uniform(self.focal[0], self.focal[1]),
            "window": window,
            "window_x": rng.uniform(-side, side),
            "window_y": rng.uniform(-side, side),
            "path_seed": random_seed(rng),
        }

    def strength(self, parameters: Parameters) -> float:
        """Return over how many pixels that corner moves which moves most."""
        return parameters["extent"]

    def margin(self, parameters: Parameters) -> int:
        """Return how far in pixels a place can be from where it stands in the middle of the exposure."""
        return int(np.ceil(parameters["extent"])) + 1

    def apply(self, linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3) averaged along the path; it stands still in the middle of the exposure.

        A constant image stays constant. Of a photograph the light is kept but for what crosses the border and for the
        squares of the angles, under 0.1 %.
        """
        if parameters["extent"] == 0:
            return linear.copy()
        poses, view = self.path(parameters, linear.shape[:2])
        return mean_picture(linear, view.homographies(resampled(poses, steps(poses, view))))

    @staticmethod
    def path(parameters: Parameters, size: Sequence[int]) -> tuple[Poses, View]:
        """Return the camera's poses and the view of an image of (H, W) pixels."""
        focal = parameters["focal"]
        poses = shaken_poses(
            np.random.default_rng(int(parameters["path_seed"])),
            wander=(parameters["jitter"], parameters["pull"], parameters["jolts"]),
            share=(parameters["sideways"], parameters["roll"], parameters["forwards"]),
            focal=focal,
        )
        middle = complex(parameters["window_x"], parameters["window_y"])
        view = View((size[0], size[1]), parameters["window"], middle, focal)
        return view.scaled(poses, parameters["extent"]), view
