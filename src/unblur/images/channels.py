"""A picture's channels as a decoder hands them on, and the arithmetic on them that all formats share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.unsignedinteger[Any]]  # uint8 or uint16


@dataclass(frozen=True)
class Channels:
    """Colour (H, W, 1, 3 or 4): grey, RGB or CMYK (255 or 65535 is full ink); alpha (H, W) of the same type or None.

    `notes` tell what of the file is not in them.
    """

    colour: Values
    alpha: Values | None = None
    notes: tuple[str, ...] = ()


def split_alpha(channels: Values) -> Channels:
    """Take (H, W) or (H, W, 1 to 4) apart: of two or four the last is alpha."""
    stacked = channels.reshape(*channels.shape[:2], -1)
    if stacked.shape[2] in (1, 3):
        return Channels(stacked)
    return Channels(np.ascontiguousarray(stacked[..., :-1]), np.ascontiguousarray(stacked[..., -1]))


def full_range(values: NDArray[Any], bits: int) -> Values:
    """Scale values of that many bits (1 to 16) to all of uint8 or uint16, rounded."""
    return scaled(values, 2**bits - 1)


def scaled(values: NDArray[Any], top: int) -> Values:
    """Scale values of which `top` is white to all of uint8 or, where `top` is above 255, of uint16, rounded."""
    deep = np.uint16 if top > 255 else np.uint8
    white = int(np.iinfo(deep).max)
    if top == white:
        return values.astype(deep, copy=False)
    return ((np.minimum(values.astype(np.uint32), top) * white + top // 2) // top).astype(deep)


def unassociated(colour: Values, alpha: Values) -> Values:
    """Divide the transparency out of premultiplied colours (H, W, C), rounded; where alpha is zero they are black."""
    white = np.uint32(np.iinfo(colour.dtype).max)
    share = np.maximum(alpha, 1).astype(np.uint32)[..., None]
    straight = np.minimum((colour.astype(np.uint32) * white + share // 2) // share, white)
    return np.where(alpha[..., None] > 0, straight, 0).astype(colour.dtype)


def eight_bit(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Round 16-bit values, or floats in [0, 1], to 8 bits; white becomes 255. 8-bit values are returned as they are."""
    if pixels.dtype == np.float32:
        scaled_up: NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 1) * np.float32(255)).astype(np.uint8)
        return scaled_up
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def as_floats(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return (..., 3) in [0, 1] of 8 or 16 bits, or of floats in [0, 1]."""
    if np.issubdtype(pixels.dtype, np.floating):
        return np.asarray(pixels, np.float32)
    return np.asarray(pixels, np.float32) / np.float32(np.iinfo(pixels.dtype).max)
