"""The camera behind the lens: white balance, noise on the Bayer mosaic, tone curve, JPEG; each optional."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

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
    """Return what the sensor makes of `linear` (H, W, 3), in linear light: saturated, noisy, interpolated.

    Noise falls on the mosaic, in the sensor's own colours, so white balance and demosaicing tint and spread it.
    """
    if not {"bayer", "wb_red"} & set(parameters):
        return SensorNoise.apply(np.minimum(linear, 1), parameters) if "noise_seed" in parameters else linear
    gains = np.array([parameters.get("wb_red", 1), 1, parameters.get("wb_blue", 1)], np.float32)
    raw: NDArray[np.float32] = (np.minimum(linear, 1) / gains).astype(np.float32, copy=False)
    raw = mosaic(raw) if "bayer" in parameters else raw
    if "noise_seed" in parameters:
        raw = SensorNoise.apply(raw, parameters)
    balanced = (demosaic(raw) if "bayer" in parameters else raw) * gains
    return balanced.astype(np.float32, copy=False)
