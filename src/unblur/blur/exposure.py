"""Exposure and highlights: how bright the scene was before the sensor clipped it (Rim et al. 2022, RSBlur, ECCV)."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from unblur.blur.light import Linear
from unblur.blur.operator import Parameters, check_range
from unblur.errors import UnblurError


@dataclass(frozen=True)
class Exposure:
    """Exposure changed by `min_stops` to `max_stops`, of blurred photograph and truth alike; negative is darker."""

    min_stops: float
    max_stops: float

    def __post_init__(self) -> None:
        if self.min_stops > self.max_stops:
            msg = f"exposure, stops: got the range {self.min_stops} to {self.max_stops}; expected min <= max"
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the gain of one exposure: 2 to the power of its stops."""
        return {"exposure_gain": float(2 ** rng.uniform(self.min_stops, self.max_stops))}


@dataclass(frozen=True)
class Highlights:
    """Light that the photograph clipped: values above `threshold` (linear) stand for up to `max_gain` times as much.

    Blurred before they are clipped, such highlights leave streaks and discs as bright as themselves.
    """

    threshold: float = 0.9
    min_gain: float = 1.0
    max_gain: float = 8.0

    def __post_init__(self) -> None:
        check_range("highlights, gain above 1", self.min_gain - 1, self.max_gain - 1)
        if not 0 < self.threshold < 1:
            msg = f"highlights, threshold: got {self.threshold}; expected between 0 and 1 (linear light)"
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the gain of one scene's highlights."""
        return {"highlight_threshold": self.threshold, "highlight_gain": rng.uniform(self.min_gain, self.max_gain)}


def relight(linear: Linear, parameters: Parameters) -> Linear:
    """Return the scene's light before blur, (H, W, 3), which may exceed 1, with drawn highlights and exposure.

    The gain grows from 1 at the threshold to its full value at 1, in all channels alike, so that hues stay.
    """
    if "highlight_gain" in parameters:
        threshold = np.float32(parameters["highlight_threshold"])
        near = np.clip((linear.min(axis=2, keepdims=True) - threshold) / (1 - threshold), 0, 1)
        linear = linear * (1 + np.float32(parameters["highlight_gain"] - 1) * near * near)
    if "exposure_gain" in parameters:
        linear = linear * np.float32(parameters["exposure_gain"])
    return linear
