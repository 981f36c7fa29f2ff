"""Object motion: something moves before a background that stands still or moves otherwise, and hides what is behind it.

At each moment of the exposure the object covers another part of the background (Nayar and Ben-Ezra 2004, IEEE TPAMI
26(6), treat the blur that follows): at its edge the blurred picture mixes both, in linear light, by the time that each
was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.camera_path import (
    Poses,
    View,
    mean_picture,
    pictures,
    resampled,
    shaken_poses,
    steps,
    with_fourth_channel,
)
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, between, check_range, random_seed
from unblur.errors import UnblurError

_BUMPS = 5
"""Harmonics of the outline."""


@dataclass(frozen=True)
class ObjectMotion:
    """A blob of the image moves over `min_extent` to `max_extent` pixels; in the middle of the exposure it is in place.

    Nobody knows what was behind it: the background goes on under it mirrored at its outline, and shows at most half of
    the extent of that. An extent of 0 is the identity.

    Attributes:
        min_extent: of the weakest, in pixels.
        max_extent: of the strongest.
        size: range of the object's mean radius, as a share of the image's shorter side.
        max_background: extent of the background's own motion, at most, relative to the object's.
        max_turn: how far roll and zoom shift the object's parts, at most, relative to its shift.
        max_jitter: largest jitter of the paths; objects move more steadily than hands.
    """

    min_extent: float
    max_extent: float
    size: Sequence[float] = (0.15, 0.4)
    max_background: float = 0.5
    max_turn: float = 0.5
    max_jitter: float = 0.8

    def __post_init__(self) -> None:
        check_range("object motion, extent in pixels", self.min_extent, self.max_extent)
        if len(self.size) != 2 or not 0 < self.size[0] <= self.size[1]:
            msg = f"object motion, size: got {list(self.size)}; expected 0 < min <= max. Change it in conf/blur."
            raise UnblurError(msg)

    def draw(self, rng: Generator, level: float) -> dict[str, float]:
        """Draw the parameters of one object; in half of all exposures the background stands still."""
        return {
            "extent": between(self.min_extent, self.max_extent, level),
            "background": rng.uniform(0, self.max_background) if rng.random() < 0.5 else 0.0,
            "turn": rng.uniform(0, self.max_turn),
            "jitter": rng.uniform(0, self.max_jitter),
            "radius": rng.uniform(self.size[0], self.size[1]),
            "centre_x": rng.uniform(0.2, 0.8),
            "centre_y": rng.uniform(0.2, 0.8),
            "object_seed": random_seed(rng),
        }

    def strength(self, parameters: Parameters) -> float:
        """Return over how many pixels the object moves."""
        return parameters["extent"]

    def margin(self, parameters: Parameters) -> int:
        """Return how far in pixels a place can be from where it stands in the middle of the exposure."""
        return int(np.ceil(parameters["extent"])) + 1

    def apply(self, linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3) as exposed; a constant image stays constant."""
        if parameters["extent"] == 0:
            return linear.copy()
        size = linear.shape[:2]
        rng = np.random.default_rng(int(parameters["object_seed"]))
        mask = blob(rng, size, parameters)
        behind = mirrored_under(linear, mask)
        view = View((size[0], size[1]))
        moving = self._poses(rng, view, parameters, parameters["extent"])
        drift = self._poses(rng, view, parameters, parameters["background"] * parameters["extent"])
        count = steps(moving, view)
        homographies = view.homographies(resampled(moving, count))
        # Premultiplied: what of the object is not there weighs nothing. (H, W, 4): colour times mask, mask.
        before = with_fourth_channel(linear * mask[..., None], mask)
        if parameters["background"] == 0:
            seen = mean_picture(before, homographies)
            return seen[..., :3] + (1 - seen[..., 3:]) * behind
        total = np.zeros_like(linear)
        objects = pictures(before, homographies)
        backgrounds = pictures(with_fourth_channel(behind), view.homographies(resampled(drift, count)))
        for front, back in zip(objects, backgrounds, strict=True):
            total += front[..., :3] + (1 - front[..., 3:]) * back[..., :3]
        return total / np.float32(count)

    @staticmethod
    def _poses(rng: Generator, view: View, parameters: Parameters, extent: float) -> Poses:
        turn = parameters["turn"]
        poses = shaken_poses(rng, wander=(parameters["jitter"], 0, 0), share=(0, turn, turn), focal=1.2)
        return view.scaled(poses, extent)


def blob(rng: Generator, size: Sequence[int], parameters: Parameters) -> NDArray[np.float32]:
    """Return a mask (H, W), 1 inside and 0 outside a random smooth outline, with an edge of one pixel."""
    height, width = size
    harmonics = np.arange(1, _BUMPS + 1)
    waves = rng.normal(0, 0.25, _BUMPS) / harmonics
    phases = rng.uniform(0, 2 * np.pi, _BUMPS)
    x = np.arange(width, dtype=np.float32) - np.float32(parameters["centre_x"] * (width - 1))
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(parameters["centre_y"] * (height - 1))
    table = np.linspace(-np.pi, np.pi, 257)
    around = 1 + (waves[:, None] * np.cos(harmonics[:, None] * table + phases[:, None])).sum(axis=0)
    outline = np.interp(np.arctan2(y, x), table, parameters["radius"] * min(size) * np.maximum(around, 0.3))
    mask: NDArray[np.float32] = np.clip(outline - np.hypot(x, y) + 0.5, 0, 1).astype(np.float32)
    return mask


def mirrored_under(image: Linear, mask: NDArray[np.float32]) -> Linear:
    """Return `image` (H, W, 3), where `mask` is over 0 replaced by its mirror image at the mask's outline."""
    hidden = (mask > 0).astype(np.uint8)
    if hidden.all():
        return image.copy()
    _, labels = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edge_y, edge_x = np.nonzero(hidden == 0)
    nearest = np.zeros((int(labels.max()) + 1, 2), np.int64)
    nearest[labels[edge_y, edge_x]] = np.stack([edge_y, edge_x], axis=1)
    y, x = np.nonzero(hidden)
    there = nearest[labels[y, x]]
    mirrored = 2 * there - np.stack([y, x], axis=1)
    mirrored = np.clip(mirrored, 0, np.array(image.shape[:2]) - 1)
    hit = hidden[mirrored[:, 0], mirrored[:, 1]] > 0  # on the far side of a narrow gap the object again: take the edge
    mirrored[hit] = there[hit]
    behind = image.copy()
    behind[y, x] = image[mirrored[:, 0], mirrored[:, 1]]
    return behind
