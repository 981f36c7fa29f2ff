"""What a photograph has been through before: footage and pictures from the web are soft and were compressed already.

Blurred picture and truth inherit both, so a network learns which softness is not blur and leaves it alone. Trained on
clean photographs only, it sharpens the frames of videos, and what compression left in them.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.camera import compress
from unblur.blur.operator import Parameters, check_range
from unblur.errors import UnblurError


@dataclass(frozen=True)
class Origin:
    """A share of the photographs is softened by up to `max_softness` (standard deviation in pixels) and compressed.

    The compression is JPEG's, at a quality of `min_quality` to `max_quality`.
    """

    share: float = 0.5
    max_softness: float = 0.8
    min_quality: int = 60
    max_quality: int = 95

    def __post_init__(self) -> None:
        check_range("origin, share of photographs", self.share, 1)
        check_range("origin, softness in pixels", 0, self.max_softness)
        if not 1 <= self.min_quality <= self.max_quality <= 100:
            got = f"{self.min_quality} to {self.max_quality}"
            msg = f"origin, quality: got the range {got}; expected 1 <= min <= max <= 100. Change it in conf/blur."
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw what one photograph has been through: nothing, or both."""
        worn, softness = rng.random() < self.share, rng.uniform(0, self.max_softness)
        quality = int(rng.integers(self.min_quality, self.max_quality + 1))
        return {"origin_softness": softness, "origin_quality": quality} if worn else {}


def worn(sharp: NDArray[Any], parameters: Parameters) -> NDArray[Any]:
    """Return `sharp` (H, W, 3), uint8 or float32 in [0, 1], after what it has been through; of the same type."""
    if "origin_quality" not in parameters:
        return sharp
    codes = sharp if sharp.dtype == np.uint8 else np.rint(np.clip(sharp, 0, 1) * 255).astype(np.uint8)
    if (deviation := parameters["origin_softness"]) > 0.2:  # less than that is nothing but a single tap
        codes = cv2.GaussianBlur(codes, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
    codes = compress(np.ascontiguousarray(codes), int(parameters["origin_quality"]))
    return codes if sharp.dtype == np.uint8 else codes.astype(np.float32) / 255
