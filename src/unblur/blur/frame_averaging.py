"""Blur as the average of a high-frame-rate video (Nah et al. 2017, CVPR: GoPro), with the middle frame as its truth.

Which values are averaged decides what comes out, and has to be said: GoPro's `blur` is the mean of sRGB values (gamma
1.0), its `blur_gamma` that of values to the power of 2.2, and light itself adds up by the sRGB curve ("srgb").

Between frames that lie far apart the average shows copies instead of blur. `interpolate` fills the gaps: dense optical
flow (Kroeger et al. 2016, ECCV: DIS) to both sides, both frames warped to the moment in between (the flows there as in
Jiang et al. 2018, CVPR: Super SloMo), and blended.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.blur.light import Linear, to_linear, to_srgb8
from unblur.errors import UnblurError

Photo = NDArray[np.uint8]
Flow = NDArray[np.float32]
Gamma = float | Literal["srgb"]

MOST_FRAMES = 10_000
"""Of an exposure: all of them are in memory at once."""

_FLOW_SIDE = 320
"""Longest side at which `travel` follows the motion: enough for a length, and fast."""


@dataclass(frozen=True)
class FrameAveraging:
    """An exposure over `frames` frames (odd), averaged as `gamma` says.

    Attributes:
        frames: how many, up to `MOST_FRAMES`; 1 is the identity.
        gamma: 1.0 (sRGB values as they are), 2.2, another power, or "srgb" for linear light.
        interpolate: steps from one frame to the next; 1 adds none, n adds n - 1 frames in between.
    """

    frames: int = 11
    gamma: Gamma = 2.2
    interpolate: int = 1

    def __post_init__(self) -> None:
        if self.frames < 1 or self.frames % 2 == 0:
            msg = f"frame averaging: got {self.frames} frames; expected an odd number, whose middle one is the truth"
            raise UnblurError(msg)
        if self.frames > MOST_FRAMES:
            msg = f"frame averaging: got {self.frames} frames, all in memory at once; expected at most {MOST_FRAMES}"
            raise UnblurError(msg)
        if self.gamma != "srgb" and not (isinstance(self.gamma, int | float) and 0 < self.gamma < math.inf):
            msg = f'frame averaging: got gamma {self.gamma!r}; expected 1.0, 2.2, another number above 0, or "srgb"'
            raise UnblurError(msg)
        if self.interpolate < 1:
            msg = f"frame averaging: got interpolate {self.interpolate}; expected 1 (no frames in between) or more"
            raise UnblurError(msg)

    def __call__(self, frames: Sequence[Photo]) -> tuple[Photo, Photo]:
        """Return (blurred, sharp), (H, W, 3) uint8, of `self.frames` frames of that shape; sharp is the middle one.

        Raises:
            UnblurError: there are more or fewer frames, or they differ in size.
        """
        if len(frames) != self.frames or len({frame.shape for frame in frames}) != 1:
            sizes = ", ".join(sorted({str(frame.shape) for frame in frames}))
            msg = f"frame averaging: expected {self.frames} frames of one size, got {len(frames)} of {sizes or 'none'}"
            raise UnblurError(msg)
        sharp = frames[self.frames // 2]
        if self.frames == 1:
            return sharp.copy(), sharp
        total = np.zeros(sharp.shape, np.float32)
        count = 0
        for values in self._moments(frames):
            total += values
            count += 1
        return self._encode(total / np.float32(count)), sharp

    def _moments(self, frames: Sequence[Photo]) -> Iterator[Linear]:
        """Yield the values to be averaged of every frame and of those in between, spread evenly over the exposure."""
        yield self._decode(frames[0])
        for first, second in pairwise(frames):
            after = self._decode(second)
            if self.interpolate > 1:
                yield from between_frames(first, second, self._decode(first), after, self.interpolate)
            yield after

    def _decode(self, frame: Photo) -> Linear:
        if self.gamma == "srgb":
            return to_linear(frame)
        table = (np.arange(256) / 255) ** float(self.gamma)
        values: Linear = cv2.LUT(frame, table.astype(np.float32))
        return values

    def _encode(self, mean: Linear) -> Photo:
        if self.gamma == "srgb":
            return to_srgb8(mean)
        codes: Photo = np.rint(mean ** np.float32(1 / float(self.gamma)) * 255).astype(np.uint8)
        return codes


def between_frames(first: Photo, second: Photo, before: Linear, after: Linear, steps: int) -> Iterator[Linear]:
    """Yield the steps - 1 images (H, W, 3) that lie between two frames at equal times.

    Args:
        first: the earlier frame (H, W, 3) uint8, for the flow.
        second: the later one.
        before: the values of `first` that are to be blended, float32.
        after: those of `second`.
        steps: from `first` to `second`.
    """
    ahead, back = flow(first, second), flow(second, first)
    still = np.stack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in before.shape[1::-1])), axis=-1)
    for step in range(1, steps):
        t = step / steps
        to_first = -(1 - t) * t * ahead + t * t * back
        to_second = (1 - t) ** 2 * ahead - t * (1 - t) * back
        yield (1 - t) * _warp(before, still + to_first) + t * _warp(after, still + to_second)


def flow(first: Photo, second: Photo) -> Flow:
    """Return where each pixel of `first` went in `second`: (H, W, 2), x and y in pixels."""
    one, two = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second))
    still = np.zeros((*one.shape, 2), np.float32)
    if min(one.shape) < 16:  # smaller than the patches that it follows
        return still
    found: Flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(one, two, still)
    return found


def travel(frames: Sequence[Photo]) -> float:
    """Return how far the fastest 5 % of the picture move over the frames, in pixels: the extent of the blur.

    It is measured on smaller copies, frame by frame, and is an estimate: flat regions show no motion.
    """
    if len(frames) < 2:
        return 0.0
    height, width = frames[0].shape[:2]
    scale = min(1.0, _FLOW_SIDE / max(height, width))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    length = sum(np.linalg.norm(flow(a, b), axis=2) for a, b in pairwise(small))
    return float(np.percentile(length, 95) / scale)


def _warp(values: Linear, places: Flow) -> Linear:
    warped: Linear = cv2.remap(values, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return warped
