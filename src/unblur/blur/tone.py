"""The camera's tone curve: a mild S on top of the sRGB curve (Brooks et al. 2019, Unprocessing Images, CVPR)."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.light import Linear, Pixels, to_linear, to_srgb, to_srgb8
from unblur.blur.operator import check_range

_STEPS = 4095


@dataclass(frozen=True)
class ToneCurve:
    """An S-curve of strength `min_contrast` to `max_contrast` in [0, 1): y = (1 - c) x + c (3 x^2 - 2 x^3).

    The photograph is taken to have been made with it: it is undone before the blur and done again after, so blurred
    photograph and truth keep one look, but light adds up differently than under the plain sRGB curve.
    """

    min_contrast: float
    max_contrast: float

    def __post_init__(self) -> None:
        check_range("tone curve, contrast", self.min_contrast, self.max_contrast)
        check_range("tone curve, contrast below 0.95", self.max_contrast, 0.95)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the contrast of one camera."""
        return {"tone": rng.uniform(self.min_contrast, self.max_contrast)}


def undo_tone(image: Pixels, contrast: float) -> Linear:
    """Return the linear light of `image` (uint8, or float in [0, 1]), which was made with this contrast."""
    if contrast == 0:
        return to_linear(image)
    x = np.linspace(0, 1, _STEPS + 1)
    codes = np.arange(256) / 255 if image.dtype == np.uint8 else np.asarray(image, dtype=np.float64)
    linear = to_linear(np.interp(codes, _curve(x, contrast), x).astype(np.float32))
    return linear[image] if image.dtype == np.uint8 else linear


def tone_srgb(linear: Linear, contrast: float) -> NDArray[np.float32]:
    """Return sRGB float32 in [0, 1] of linear light with this contrast; values outside [0, 1] are clipped."""
    srgb = to_srgb(linear)
    return srgb if contrast == 0 else _curve(srgb, contrast).astype(np.float32)


def tone_srgb8(linear: Linear, contrast: float) -> NDArray[np.uint8]:
    """Return sRGB uint8 of linear light with this contrast, through a table of 2^16 steps."""
    if contrast == 0:
        return to_srgb8(linear)
    table = np.rint(tone_srgb(np.linspace(0, 1, 65536, dtype=np.float32), contrast) * 255).astype(np.uint8)
    return table[(np.clip(linear, 0, 1) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)]


def _curve(x: NDArray[np.floating], contrast: float) -> NDArray[np.floating]:
    curve: NDArray[np.floating] = x * (1 - contrast + contrast * x * (3 - 2 * x))
    return curve
