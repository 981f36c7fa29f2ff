"""The camera behind the lens: white balance, noise on the Bayer mosaic, tone curve, JPEG; each optional.

The sensor sees red and blue weaker than green, and the camera makes up for it. Shot and read noise are counted in
electrons (Foi et al. 2008, IEEE TIP 17(10)). The mosaic has the pattern RGGB; its interpolation is that of Malvar, He
and Cutler 2004 (ICASSP): bilinear, corrected by the Laplacian of the colour that was measured. The tone curve is a mild
S on top of the sRGB curve (Brooks et al. 2019, Unprocessing Images, CVPR).
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.light import Linear, Pixels, to_linear, to_srgb, to_srgb8
from unblur.blur.operator import Parameters, check_range, random_seed
from unblur.blur.sensor import SensorNoise
from unblur.errors import UnblurError


@dataclass(frozen=True)
class WhiteBalance:
    """Gains of red and blue, each drawn from 1 to its maximum: undone before the mosaic, done again after it."""

    max_red: float = 2.4
    max_blue: float = 2.0

    def __post_init__(self) -> None:
        if min(self.max_red, self.max_blue) < 1:
            msg = f"white balance: got {self.max_red} and {self.max_blue}; expected at least 1, in conf/blur"
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the gains of one scene's light."""
        return {"wb_red": rng.uniform(1, self.max_red), "wb_blue": rng.uniform(1, self.max_blue)}


BASE_ISO = 100


@dataclass(frozen=True)
class IsoNoise:
    """Noise at an ISO drawn log-uniformly; `SensorNoise.apply` makes it of the drawn numbers.

    At ISO 100 a pixel saturates at `full_well` electrons; at ISO 100 g at 1/g of that. So light x in [0, 1] is
    x full_well / g electrons, whose Poisson variance is g x / full_well in units of light, and `read_electrons` of
    read noise are g read_electrons / full_well.
    """

    min_iso: float
    max_iso: float
    full_well: float = 15000.0
    read_electrons: float = 3.0

    def __post_init__(self) -> None:
        check_range("sensor noise, ISO", self.min_iso, self.max_iso)
        if self.min_iso <= 0 or self.full_well <= 0 or self.read_electrons < 0:
            got = f"ISO {self.min_iso}, full well {self.full_well}, read noise {self.read_electrons}"
            msg = f"sensor noise: got {got}; expected ISO and full well above 0, read noise from 0, in conf/blur"
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the ISO of one exposure, and what follows from it."""
        iso = math.exp(rng.uniform(math.log(self.min_iso), math.log(self.max_iso)))
        light_an_electron = iso / BASE_ISO / self.full_well
        return {
            "iso": iso,
            "noise_shot": light_an_electron,
            "noise_read": self.read_electrons * light_an_electron,
            "noise_seed": random_seed(rng),
        }


_GREEN = np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]) / 8
"""Green where red or blue was measured."""

_BESIDE = np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]) / 8
"""Red or blue where green was measured, with its neighbours in the row; transposed, in the column."""

_ACROSS = (
    np.array([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]) / 8
)
"""Red where blue was measured, and blue where red was."""


def mosaic(linear: Linear) -> NDArray[np.float32]:
    """Return (H, W): of each pixel of `linear` (H, W, 3) the colour that its filter lets through."""
    raw = linear[..., 1].copy()
    raw[::2, ::2] = linear[::2, ::2, 0]
    raw[1::2, 1::2] = linear[1::2, 1::2, 2]
    return raw


def demosaic(raw: NDArray[np.float32]) -> Linear:
    """Return (H, W, 3) of a mosaic (H, W); linear in it, so noise can go through by itself."""
    green, row, column, across = (
        cv2.filter2D(raw, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
        for kernel in (_GREEN, _BESIDE, _BESIDE.T.copy(), _ACROSS)
    )
    linear: Linear = np.repeat(raw[..., None], 3, axis=2)
    linear[::2, ::2, 1], linear[1::2, 1::2, 1] = green[::2, ::2], green[1::2, 1::2]
    linear[::2, 1::2, 0], linear[::2, 1::2, 2] = row[::2, 1::2], column[::2, 1::2]
    linear[1::2, ::2, 0], linear[1::2, ::2, 2] = column[1::2, ::2], row[1::2, ::2]
    linear[::2, ::2, 2], linear[1::2, 1::2, 0] = across[::2, ::2], across[1::2, 1::2]
    return linear


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


@dataclass(frozen=True)
class Jpeg:
    """JPEG of quality `min_quality` to `max_quality`, 1 to 100."""

    min_quality: int
    max_quality: int

    def __post_init__(self) -> None:
        if not 1 <= self.min_quality <= self.max_quality <= 100:
            got = f"{self.min_quality} to {self.max_quality}"
            msg = f"JPEG, quality: got the range {got}; expected 1 <= min <= max <= 100. Change it in conf/blur."
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw one quality."""
        return {"jpeg_quality": int(rng.integers(self.min_quality, self.max_quality + 1))}


def compress(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return `image` (H, W, 3) sRGB after JPEG compression, same shape."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    decoded: NDArray[np.uint8] = np.ascontiguousarray(bgr[..., ::-1])
    return decoded


@dataclass(frozen=True)
class Device:
    """The steps of one camera; those that are None or false are left out, without any nothing changes."""

    noise: IsoNoise | SensorNoise | None = None
    white_balance: WhiteBalance | None = None
    bayer: bool = False
    tone: ToneCurve | None = None
    jpeg: Jpeg | None = None

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the parameters of one photograph."""
        drawn: dict[str, float] = {"bayer": 1} if self.bayer else {}
        for step in (self.noise, self.white_balance, self.tone, self.jpeg):
            if step:
                drawn.update(step.draw(rng))
        return drawn


def expose(linear: Linear, parameters: Parameters) -> Linear:
    """Return what the sensor makes of `linear` (H, W, 3), in linear light: saturated and noisy.

    The noise falls on the mosaic, in the sensor's own colours; white balance tints and demosaicing spreads it. The
    scene itself is not interpolated: the photograph that it comes from has been in a camera, and is often scaled down
    since. A second time would cost it all that is finer than a mosaic (29 dB against itself on the starter
    photographs), and teach a network to undo that, or to smooth.
    """
    seen: Linear = np.minimum(linear, 1)
    if "noise_seed" not in parameters:
        return seen
    gains = np.array([parameters.get("wb_red", 1), 1, parameters.get("wb_blue", 1)], np.float32)
    raw: Linear = (seen / gains).astype(np.float32, copy=False)
    if "bayer" not in parameters:
        seen += (SensorNoise.apply(raw, parameters) - raw) * gains
        return seen
    raw = mosaic(raw)
    noise = (SensorNoise.apply(raw, parameters) - raw) * mosaic(np.broadcast_to(gains, seen.shape))
    seen += demosaic(noise)
    return seen
