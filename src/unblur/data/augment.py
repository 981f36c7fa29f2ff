"""Augmentation by geometry alone, the same for a blurred image, its truth and every frame of a sequence."""

import os
import random

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # or the import asks the network for a newer version

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError


@dataclass(frozen=True)
class PairedAugment:
    """Crops, mirroring and quarter turns; none of them interpolates, so nothing gets blurrier.

    Attributes:
        crop: crop at a random place; otherwise in the middle.
        flip: mirror left to right and top to bottom, each with probability 1/2.
        rotate: turn by 0, 90, 180 or 270 degrees.
        zoom: range of sizes that a sharp photograph is brought to before it is blurred; 1 is its own. Detail of
            a shrunken photograph is finer, that of an enlarged one smoother, than any training photograph has it.
        permute: exchange the colour channels of a sharp photograph before it is blurred.
    """

    crop: bool = True
    flip: bool = True
    rotate: bool = True
    zoom: Sequence[float] = (1.0, 1.0)
    permute: bool = False

    def __post_init__(self) -> None:
        if len(self.zoom) != 2 or not 0 < self.zoom[0] <= self.zoom[1]:
            msg = f"augmentation: got zoom {list(self.zoom)}; expected 0 < min <= max. Change it in conf/augment."
            raise UnblurError(msg)

    def draw_zoom(self, rng: np.random.Generator) -> float:
        """Draw a zoom; halving is as likely as doubling."""
        low, high = np.log(self.zoom)
        return float(np.exp(rng.uniform(low, high)))

    def draw_channels(self, rng: np.random.Generator) -> list[int]:
        """Draw the order of the colour channels."""
        return [int(channel) for channel in rng.permutation(3)] if self.permute else [0, 1, 2]

    def __call__(self, images: Sequence[NDArray[Any]], seed: int, size: int | None = None) -> list[NDArray[Any]]:
        """Return the images, all changed alike.

        Args:
            images: (H, W, 3) each, of one size, uint8 or float32: one, a pair, or the frames of sequences.
            seed: decides the geometry, together with the images' size alone.
            size: side of the square crop in pixels; None keeps the whole image.

        Raises:
            UnblurError: the images differ in size, or are smaller than the crop.
        """
        height, width = images[0].shape[:2]
        if any(image.shape[:2] != (height, width) for image in images):
            msg = (
                f"augmentation: expected images of one size, got {', '.join(str(image.shape[:2]) for image in images)}"
            )
            raise UnblurError(msg)
        if size is not None and min(height, width) < size:
            msg = f"augmentation: the images are {width} x {height}; a crop of {size} pixels needs larger ones"
            raise UnblurError(msg)
        names = _targets(len(images))
        geometry = _geometry(self.crop, self.flip, self.rotate, size, len(images))
        # set_random_seed would start every transform at the same number: both flips or none, at a place to match.
        geometry.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311
        changed = geometry(**dict(zip(names, images, strict=True)))
        return [changed[name] for name in names]


@lru_cache(maxsize=256)
def _geometry(crop: bool, flip: bool, rotate: bool, size: int | None, count: int) -> A.Compose:
    """Return the transform; building one costs ten times as much as applying it."""
    steps: list[A.BasicTransform] = []
    if size is not None:
        steps.append(A.RandomCrop(size, size) if crop else A.CenterCrop(size, size))
    if flip:
        steps += [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]
    if rotate:
        steps.append(A.RandomRotate90(p=1.0))
    return A.Compose(steps, additional_targets=dict.fromkeys(_targets(count)[1:], "image"))


def _targets(count: int) -> list[str]:
    return ["image", *(f"image{index}" for index in range(1, count))]
