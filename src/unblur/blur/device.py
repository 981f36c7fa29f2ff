"""The camera behind the lens: white balance, noise on the Bayer mosaic, tone curve, JPEG; each optional."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from unblur.blur.bayer import demosaic, mosaic
from unblur.blur.iso import IsoNoise
from unblur.blur.jpeg import Jpeg
from unblur.blur.light import Linear
from unblur.blur.operator import Parameters
from unblur.blur.sensor import SensorNoise
from unblur.blur.tone import ToneCurve
from unblur.blur.white_balance import WhiteBalance


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
