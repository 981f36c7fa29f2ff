"""An image as a tensor of the Open Inference Protocol: FP32 (B, 3, H, W) in [0, 1] or UINT8 (B, H, W, 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

INPUT, OUTPUT = "image", "restored"
TYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
EXPECTED = "FP32 [B, 3, H, W] in [0, 1], or UINT8 [B, H, W, 3]"


@dataclass(frozen=True)
class Tensor:
    """A tensor as it was sent: bytes in little-endian order, or numbers, in nested lists or one."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    content: bytes | memoryview | Sequence[Any]

    def pixels(self, max_pixels: int) -> NDArray[Any]:
        """Return its images, (B, H, W, 3) uint8, or float32 in [0, 1].

        Raises:
            HTTPException: 400 where name, type, shape and content do not fit what is expected or one another, 422 where
                values are not finite or lie outside [0, 1], and where all images together have too many pixels.
        """
        self._check(max_pixels)
        values = self._values().reshape(self.shape)
        if self.datatype == "UINT8":
            return values
        images = values.transpose(0, 2, 3, 1).astype(np.float32)  # (B, 3, H, W) -> (B, H, W, 3)
        lowest, highest = float(images.min()), float(images.max())
        if not math.isfinite(lowest) or not math.isfinite(highest):
            raise HTTPException(422, f"{INPUT}: has values that are NaN or infinite; expected {EXPECTED}")
        if lowest < 0 or highest > 1:
            raise HTTPException(422, f"{INPUT}: has values from {lowest:g} to {highest:g}; expected {EXPECTED}")
        return images

    def _check(self, max_pixels: int) -> None:
        shape = list(self.shape)
        if self.name != INPUT:
            raise HTTPException(400, f"input {self.name[:40]!r}: not known; expected {INPUT!r}")
        if self.datatype not in TYPES:
            raise HTTPException(400, f"{INPUT}: datatype {self.datatype[:20]!r}; expected {EXPECTED}")
        channels = 1 if self.datatype == "FP32" else 3
        if len(shape) != 4 or shape[channels] != 3 or min(shape) < 1:
            raise HTTPException(400, f"{INPUT}: {self.datatype} of shape {str(shape)[:80]}; expected {EXPECTED}")
        pixels = math.prod(shape) // 3
        if pixels > max_pixels:
            most = f"at most {max_pixels / 1e6:g} are taken"
            raise HTTPException(
                422, f"{INPUT}: {pixels / 1e6:.1f} megapixels in all, {most}; send smaller or fewer ones"
            )

    def _values(self) -> NDArray[Any]:
        kind, count = TYPES[self.datatype], math.prod(self.shape)
        if isinstance(self.content, bytes | memoryview):
            if len(self.content) != count * kind.itemsize:
                what = f"{len(self.content)} bytes, {count * kind.itemsize} expected"
                raise HTTPException(400, f"{INPUT}: {what} for {self.datatype} {list(self.shape)}")
            return np.frombuffer(self.content, kind)
        try:
            numbers = np.asarray(self.content)
        except ValueError as error:  # lists of different lengths, or more deeply nested than NumPy goes
            raise HTTPException(400, f"{INPUT}: its data are no array of numbers") from error
        if numbers.size != count:
            what = f"{numbers.size} numbers, {count} expected"
            raise HTTPException(400, f"{INPUT}: {what} for {self.datatype} {list(self.shape)}")
        if numbers.dtype.kind not in ("iu" if self.datatype == "UINT8" else "iuf"):
            raise HTTPException(400, f"{INPUT}: its data are no numbers, or none of type {self.datatype}")
        if self.datatype == "UINT8" and (numbers.min() < 0 or numbers.max() > 255):
            raise HTTPException(400, f"{INPUT}: its data are not all from 0 to 255, as UINT8 is")
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as such
            stored: NDArray[Any] = numbers.astype(kind)
        return stored


def as_sent(pixels: NDArray[Any], datatype: str) -> NDArray[Any]:
    """Return images (B, H, W, 3) in the order and type in which they were sent."""
    if datatype == "FP32":
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels, TYPES[datatype])
