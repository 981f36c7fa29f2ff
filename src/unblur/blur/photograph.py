"""From a photograph back to the light of its scene, and from light to a photograph: what lies around the blur."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.averaging import Averaging
from unblur.blur.camera import Device, compress, expose, tone_srgb, tone_srgb8, undo_tone
from unblur.blur.exposure import Exposure, Highlights, relight
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters
from unblur.blur.origin import Origin
from unblur.blur.sensor import SensorNoise

Step = SensorNoise | Device | Exposure | Highlights | Averaging | Origin


def draw_all(rng: Generator, *around: Step | None) -> dict[str, float]:
    """Return the parameters of those steps that are there, drawn one after the other."""
    return {name: value for step in around if step for name, value in step.draw(rng).items()}


def scene_light(sharp: NDArray[Any], numbers: Parameters) -> Linear:
    """Return the scene's light (H, W, 3), which may exceed 1, of an sRGB image: uint8, or float32 in [0, 1]."""
    return relight(undo_tone(sharp, numbers.get("tone", 0)), numbers)


def photograph(light: Linear, numbers: Parameters, *, as_bytes: bool) -> Any:  # noqa: ANN401
    """Return the sRGB image that the camera makes of `light` (H, W, 3): saturated, noisy, developed, compressed.

    It is uint8, or, if not `as_bytes`, float32 in [0, 1] and not rounded.
    """
    seen = expose(light, numbers)
    if "jpeg_quality" in numbers:
        small = compress(tone_srgb8(seen, numbers.get("tone", 0)), int(numbers["jpeg_quality"]))
        return small if as_bytes else small.astype(np.float32) / 255
    return _render(seen, numbers, as_bytes=as_bytes)


def truth(sharp: NDArray[Any], scene: Linear, numbers: Parameters) -> Any:  # noqa: ANN401
    """Return the truth: `sharp` as it is, or, where its light was changed, `scene` clipped and developed."""
    if {"exposure_gain", "highlight_gain"} & set(numbers):
        return _render(scene, numbers, as_bytes=sharp.dtype == np.uint8)
    return sharp


def _render(light: Linear, numbers: Parameters, *, as_bytes: bool) -> Any:  # noqa: ANN401
    return (tone_srgb8 if as_bytes else tone_srgb)(light, numbers.get("tone", 0))
