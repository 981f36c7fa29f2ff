"""Augmentation, the same for a blurred image, its truth and every frame of a sequence."""

import os
import random

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # or the import asks the network for a newer version

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.blur.light import to_linear, to_srgb, to_srgb8
from unblur.errors import UnblurError

_LIMITS = {"angle": 45.0, "exposure": 8.0, "colour": 1.0, "cutblur": 1.0, "mixup": 1.0}
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear RGB, ITU-R BT.709


@dataclass(frozen=True)
class PairedAugment:
    """What is done to training images; conf/augment/rich.yaml says what helps when.

    The first five interpolate nothing but before the blur, so no pair gets blurrier.

    Attributes:
        crop: crop at a random place; otherwise in the middle.
        flip: mirror left to right and top to bottom, each with probability 1/2.
        rotate: turn by 0, 90, 180 or 270 degrees.
        zoom: range of sizes that a sharp photograph is brought to before it is blurred; 1 is its own. Detail of
            a shrunken photograph is finer, that of an enlarged one smoother, than any training photograph has it.
        permute: exchange the colour channels; of a sharp photograph before it is blurred.
        angle: turn further by up to so many degrees either way, under 45. Interpolates, as `scale` does: the truth
            gets a little softer. Sharp photographs are turned before they are blurred, so blur and truth stay true to
            each other; of a ready pair, the truth itself loses detail.
        scale: range of sizes for ready pairs too, which `zoom` leaves alone.
        exposure: lighten or darken by up to so many stops.
        colour: change each channel by up to so many stops and the saturation by up to this share. Both work on linear
            light, where they commute with blur: the result is the pair that other light would have given.
        cutblur: share of items in which a part of the blurred image is exchanged for the truth (or all but a part).
        mixup: share of batches whose items are mixed with each other. `unblur.data.mixing` does these two.
    """

    crop: bool = True
    flip: bool = True
    rotate: bool = True
    zoom: Sequence[float] = (1.0, 1.0)
    permute: bool = False
    angle: float = 0.0
    scale: Sequence[float] = (1.0, 1.0)
    exposure: float = 0.0
    colour: float = 0.0
    cutblur: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        if len(self.zoom) != 2 or not 0 < self.zoom[0] <= self.zoom[1]:
            msg = f"augmentation: got zoom {list(self.zoom)}; expected 0 < min <= max. Change it in conf/augment."
            raise UnblurError(msg)
        if len(self.scale) != 2 or not 0.5 <= self.scale[0] <= self.scale[1] <= 2:
            msg = f"augmentation: got scale {list(self.scale)}; expected 0.5 <= min <= max <= 2, or detail would alias"
            raise UnblurError(msg)
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                msg = f"augmentation: got {name} {value}; expected 0 to {limit:g}. Change it in conf/augment."
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
            seed: decides everything, together with the images' size alone.
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
        rng = np.random.default_rng((seed, 1))
        images, crop = list(images), size
        if self.angle or tuple(self.scale) != (1.0, 1.0):
            images, crop = self._warp(images, rng, size), None
        if self.exposure or self.colour:
            images = self._relight(images, rng)
        names = _targets(len(images))
        geometry = _geometry(self.crop, self.flip, self.rotate, crop, len(images))
        # set_random_seed would start every transform at the same number: both flips or none, at a place to match.
        geometry.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311
        changed = geometry(**dict(zip(names, images, strict=True)))
        return [changed[name] for name in names]

    def _warp(self, images: list[NDArray[Any]], rng: np.random.Generator, size: int | None) -> list[NDArray[Any]]:
        """Cut, turn and scale in one step, with one interpolation; what lies outside is mirrored in."""
        inner = np.array(images[0].shape[1::-1]) - 1.0  # from the first pixel's centre to the last one's: x, y
        outer = inner if size is None else np.array([size - 1.0, size - 1.0])
        turn = np.deg2rad(rng.uniform(-self.angle, self.angle))
        factor = np.exp(rng.uniform(*np.log(self.scale)))
        to_source = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / factor
        room = np.maximum(inner - np.abs(to_source) @ outer, 0)  # for the middle to move without leaving the image
        place = rng.uniform(-0.5, 0.5, 2) if self.crop and size is not None else np.zeros(2)
        middle = inner / 2 + place * room
        matrix = np.column_stack([to_source, middle - to_source @ (outer / 2)])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        target = (int(outer[0]) + 1, int(outer[1]) + 1)
        warped = (cv2.warpAffine(image, matrix, target, flags=flags, borderMode=cv2.BORDER_REFLECT) for image in images)
        # Cubic interpolation overshoots; bytes saturate by themselves.
        return [np.clip(new, old.min(), old.max()) for new, old in zip(warped, images, strict=True)]

    def _relight(self, images: list[NDArray[Any]], rng: np.random.Generator) -> list[NDArray[Any]]:
        """Multiply linear light by one matrix: exposure, a gain for each channel, saturation."""
        gains = 2 ** (rng.uniform(-self.exposure, self.exposure) + rng.uniform(-self.colour, self.colour, 3))
        saturation = 1 + rng.uniform(-self.colour, self.colour)
        matrix = gains[:, None] * (saturation * np.eye(3) + (1 - saturation) * np.array(_LUMINANCE)[None])
        lit = (cv2.transform(to_linear(image), matrix.astype(np.float32)) for image in images)
        return [to_srgb8(new) if old.dtype == np.uint8 else to_srgb(new) for new, old in zip(lit, images, strict=True)]


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
