"""JPEG compression at a drawn quality, with the encoder's usual 4:2:0 chroma subsampling."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.errors import UnblurError


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
