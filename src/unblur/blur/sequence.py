"""Videos and bursts out of one sharp photograph: a virtual camera films it, and the truth of every frame is known.

The photograph is the plane that the camera looks at, moved along a random path as in `unblur.blur.camera_motion`; what
comes in from beyond its border is its mirror image, in the blurred frames and in the truth alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.camera import Device
from unblur.blur.camera_motion import CameraMotion
from unblur.blur.camera_path import Poses, View, mean_picture, pictures, resampled, steps, with_fourth_channel
from unblur.blur.exposure import Exposure, Highlights
from unblur.blur.light import Linear
from unblur.blur.operator import between
from unblur.blur.photograph import draw_all, photograph, scene_light, truth
from unblur.blur.recipe import Drawn, Stratum
from unblur.blur.sensor import SensorNoise
from unblur.errors import UnblurError

Frames = NDArray[Any]
"""(T, H, W, 3), uint8 or float32 in [0, 1]."""

_A_FRAME = 64
"""Moments of the path that a video's frame takes, shutter open and shut."""

_A_SHOT = ("jitter", "pull", "jolts", "sideways", "roll", "forwards", "window_x", "window_y", "path_seed")
"""What each shot of a burst has of its own; window and focal length are the burst's."""


@dataclass(frozen=True)
class _SequenceRecipe(ABC):
    """What videos and bursts have in common.

    Attributes:
        motion: of the camera in one exposure, weakest to strongest.
        frames: of a sequence.
        sensor: a whole Device or its noise alone; each frame gets its own noise.
        exposure: of the scene, the same in all frames.
        highlights: of the scene, the same in all frames.
    """

    motion: CameraMotion
    frames: int = 8
    sensor: SensorNoise | Device | None = None
    exposure: Exposure | None = None
    highlights: Highlights | None = None

    kind = "sequence"

    def __post_init__(self) -> None:
        if self.frames < 1:
            msg = f"{self.kind}: got {self.frames} frames; expected at least 1. Change data.frames."
            raise UnblurError(msg)

    def draw(self, rng: Generator, severity: float = 1.0, stratum: Stratum | None = None) -> Drawn:
        """Draw one sequence; `severity` in [0, 1] lowers its strongest blur, `stratum` fixes the part of the range."""
        stratum = stratum or Stratum(self.kind)
        level = rng.uniform(stratum.low, stratum.high) * min(max(severity, 0.0), 1.0)
        numbers: dict[str, Any] = {**self.motion.draw(rng, level), "frames": self.frames}
        numbers.update(self._draw_more(rng, numbers["extent"]))
        numbers.update(draw_all(rng, self.sensor, self.exposure, self.highlights))
        return Drawn(self.kind, numbers["extent"], numbers)

    def strata(self, count: int) -> list[Stratum]:
        """Return `count` parts of the range of strengths, weak to strong."""
        return [Stratum(self.kind, i / count, (i + 1) / count) for i in range(count)]

    def margin(self, drawn: Drawn) -> int:
        """Return how far in pixels one exposure reaches; how far the camera wanders between them is not in it."""
        return self.motion.margin(drawn.parameters)

    @abstractmethod
    def _draw_more(self, rng: Generator, extent: float) -> dict[str, Any]:
        """Draw what only this kind of sequence has, whose strongest blur has this extent."""


@dataclass(frozen=True)
class VideoRecipe(_SequenceRecipe):
    """A video: the camera goes on moving, now faster, now slower, and its shutter is open for a part of each frame.

    The strength of a video is that of its strongest frame.

    Attributes:
        shutter: range of that part; 0.5 is film's 180 degrees.
        unsteady: standard deviation of the speed's logarithm: some frames come out sharp, others blurred.
    """

    shutter: Sequence[float] = (0.4, 0.9)
    unsteady: float = 0.7

    kind = "video"

    def apply(self, sharp: NDArray[Any], drawn: Drawn, margin: int = 0) -> tuple[Frames, Frames]:
        """Return (blurred, sharp), both (T, H, W, 3), of one photograph (H, W, 3); `margin` pixels are cut off all.

        The truth of a frame is the picture in the middle of its exposure. It is interpolated bicubically, which leaves
        it a little softer than the photograph.
        """
        numbers = drawn.parameters
        scene = scene_light(sharp, numbers)
        poses, view = self.poses(numbers, sharp.shape[:2])
        rendered = with_fourth_channel(truth(sharp, scene, numbers).astype(np.float32))
        middles = view.homographies(np.stack([frame[len(frame) // 2] for frame in poses]))
        inside = slice(margin, -margin or None)
        blurred, truths = [], []
        for number, (frame, moment) in enumerate(
            zip(poses, pictures(rendered, middles, cv2.INTER_CUBIC), strict=True),
        ):
            light = mean_picture(scene, view.homographies(resampled(frame, steps(frame, view))))
            blurred.append(_shoot(light[inside, inside], numbers, number, sharp.dtype))
            truths.append(_like(moment[inside, inside, :3], sharp.dtype))
        return np.stack(blurred), np.stack(truths)

    def poses(self, numbers: Mapping[str, float], size: Sequence[int]) -> tuple[list[Poses], View]:
        """Return the camera's poses in each frame's exposure, and the view of a photograph of (H, W) pixels."""
        frames = int(numbers["frames"])
        long, view = self.motion.path(numbers, size)
        speed = np.exp(_smooth(np.random.default_rng(int(numbers["speed_seed"])), frames) * numbers["unsteady"])
        clock = np.concatenate([[0], np.cumsum(np.repeat(speed, _A_FRAME))])
        given = np.linspace(0, clock[-1], len(long))
        path = np.stack([np.interp(clock, given, column) for column in long.T], axis=1)
        path -= path.mean(axis=0)
        opened = 2 * max(int(numbers["shutter"] * _A_FRAME) // 2, 1) + 1
        shots = [path[first : first + opened] for first in range(0, frames * _A_FRAME, _A_FRAME)]
        for _ in range(3):  # the movement is nearly proportional to the poses
            scale = numbers["extent"] / max(*(view.extent(shot) for shot in shots), 1e-12)
            shots = [shot * scale for shot in shots]
        return shots, view

    def _draw_more(self, rng: Generator, extent: float) -> dict[str, Any]:
        return {
            "unsteady": self.unsteady,
            "shutter": rng.uniform(self.shutter[0], self.shutter[1]),
            "speed_seed": int(rng.integers(2**31)),
        }


@dataclass(frozen=True)
class BurstRecipe(_SequenceRecipe):
    """A burst: shots of one scene, each with a shake of its own, slightly misaligned; the first is the reference.

    The truth is the photograph as the reference sees it, which is as it is. The strength of a burst is that of its
    strongest shot, and the others are drawn from the weakest up to it: some shots are luckier than others.

    Attributes:
        max_shift: misalignment of a shot against the reference, in pixels.
        max_turn: the same, in degrees of roll.
    """

    max_shift: float = 3.0
    max_turn: float = 0.2

    kind = "burst"

    def apply(self, sharp: NDArray[Any], drawn: Drawn, margin: int = 0) -> tuple[Frames, NDArray[Any]]:
        """Return (blurred (K, H, W, 3), sharp (H, W, 3)) of one photograph; `margin` pixels are cut off all."""
        numbers = drawn.parameters
        scene = scene_light(sharp, numbers)
        inside = slice(margin, -margin or None)
        shots = []
        for number, own in enumerate(numbers["shots"]):
            poses, view = self.motion.path({**numbers, **own}, sharp.shape[:2])
            pixel = 1 / view.camera[0, 0]  # radians of yaw that shift the middle by one pixel
            aim = [own["shift_x"] * pixel, own["shift_y"] * pixel, np.radians(own["turn"]), 0, 0, 0]
            light = mean_picture(scene, view.homographies(resampled(poses, steps(poses, view)) + np.array(aim)))
            shots.append(_shoot(light[inside, inside], numbers, number, sharp.dtype))
        return np.stack(shots), truth(sharp[inside, inside], scene[inside, inside], numbers)

    def margin(self, drawn: Drawn) -> int:
        """Return how far in pixels a shot reaches, its shift included."""
        return super().margin(drawn) + int(np.ceil(self.max_shift))

    def _draw_more(self, rng: Generator, extent: float) -> dict[str, Any]:
        """Draw each shot's own path, and how it is misaligned, in pixels and degrees; the first is the reference."""
        strongest = int(rng.integers(self.frames))
        weakest = min(self.motion.min_extent, extent)
        shots = []
        for number in range(self.frames):
            own = self.motion.draw(rng, 0)
            level = 1.0 if number == strongest else rng.random()
            off = rng.uniform(-1, 1, 3) * (number > 0)
            shots.append(
                {name: own[name] for name in _A_SHOT}
                | {"extent": between(weakest, extent, level), "shift_x": off[0] * self.max_shift}
                | {"shift_y": off[1] * self.max_shift, "turn": off[2] * self.max_turn}
            )
        return {"shots": shots}


def _shoot(light: Linear, numbers: Mapping[str, float], number: int, dtype: Any) -> Any:  # noqa: ANN401
    own = dict(numbers)
    if "noise_seed" in own:
        own["noise_seed"] = (int(own["noise_seed"]) + number) % 2**31
    return photograph(light, own, as_bytes=dtype == np.uint8)


def _like(values: Linear, dtype: Any) -> NDArray[Any]:  # noqa: ANN401
    if dtype == np.uint8:
        return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return np.clip(values, 0, 1)


def _smooth(rng: Generator, count: int) -> NDArray[np.float64]:
    """Return noise (count,) of variance 1, correlated over about three frames."""
    white = rng.standard_normal(count + 2)
    smooth: NDArray[np.float64] = (white[:-2] + white[1:-1] + white[2:]) / np.sqrt(3)
    return smooth
