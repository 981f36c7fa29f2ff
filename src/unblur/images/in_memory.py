"""A photograph that a program holds, or names, as the pixels that are restored; and back into what it was."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblur.errors import UnblurError
from unblur.images.channels import split_alpha
from unblur.images.photo import read_photo

KINDS = "expected (H, W), (H, W, 3) or (H, W, 4): uint8, uint16, or floats in [0, 1]"
FARTHEST = 2.0  # a float beyond is no overshoot of a filter: the array is of another range
PLAIN = ("L", "LA", "RGB", "RGBA")  # Pillow's modes that come back as they are, beside those of 16 bits


@dataclass(frozen=True)
class Taken:
    """Pixels (H, W, 3) RGB, uint8, uint16 or float32 in [0, 1]; `back` makes of such pixels what was given."""

    pixels: NDArray[Any]
    back: Callable[[NDArray[Any]], Any]


def take(photo: object) -> Taken:
    """Take a photograph in any of these kinds.

    - A NumPy array (H, W), (H, W, 3) RGB or (H, W, 4) with transparency, uint8, uint16 or float in [0, 1]. It comes
      back with the same shape and type; floats are clipped to [0, 1], transparency stays as it is.
    - A Pillow image. It comes back with the same size, mode and `info`; palettes become RGB, or RGBA if a colour is
      transparent, and so do CMYK and other colour spaces. Of 16 bits it comes back as I;16, whatever their order.
    - A path. It comes back as an array (H, W, 3), uint8 or uint16, upright.

    Raises:
        UnblurError: it is of another kind, has no pixels or values that are none, or its file cannot be read.
    """
    if isinstance(photo, str | os.PathLike):
        return Taken(read_photo(Path(photo)).pixels, lambda pixels: pixels)
    if isinstance(photo, Image.Image):
        return _of_pillow(photo)
    if isinstance(photo, np.ndarray):
        return _of_array(photo)
    msg = f"a photograph of type {type(photo).__name__}: expected a NumPy array, a Pillow image or a path"
    raise UnblurError(msg)


def _of_array(array: NDArray[Any]) -> Taken:
    described = f"an array of {array.shape} {array.dtype}"
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        msg = f"{described} is no photograph; {KINDS}"
        raise UnblurError(msg)
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        msg = f"{described} is of no type that is restored; {KINDS}"
        raise UnblurError(msg)
    values = np.ascontiguousarray(array)
    floats = np.issubdtype(array.dtype, np.floating)
    if floats:
        if not (np.abs(values) <= FARTHEST).all():
            msg = f"{described} holds values to {values.max()}, expected [0, 1]; divide it by its white, 255 or 65535"
            raise UnblurError(msg)
        values = np.clip(values, 0, 1).astype(np.float32)
    colour = values.reshape(*array.shape[:2], -1)[..., :3]
    grey = colour.shape[2] == 1

    def back(pixels: NDArray[Any]) -> NDArray[Any]:
        found = np.clip(pixels, 0, 1) if floats else pixels
        if grey:
            mean = found.mean(axis=2, dtype=np.float32)
            found = (mean if floats else np.rint(mean)).reshape(array.shape)
        found = found.astype(array.dtype)
        return found if array.ndim == 2 or array.shape[2] < 4 else np.dstack([found, array[..., 3]])

    return Taken(np.repeat(colour, 3, axis=2) if grey else np.ascontiguousarray(colour), back)


def _of_pillow(image: Image.Image) -> Taken:
    if image.mode in ("I", "F"):
        msg = f"a Pillow image of mode {image.mode} is not restored; give an array of floats in [0, 1], or uint16"
        raise UnblurError(msg)
    plain = image
    deep = image.mode.startswith("I;16")  # a big-endian TIFF's is I;16B, which Pillow converts to 8 bits
    if image.mode not in PLAIN and not deep:
        see_through = image.mode in ("PA", "RGBa", "La") or "transparency" in image.info
        whole = image.convert("LA") if image.mode == "La" else image  # to which alone Pillow converts it
        plain = whole.convert("L" if image.mode == "1" else "RGBA" if see_through else "RGB")
    values = np.asarray(plain).astype(np.uint16) if deep else np.asarray(plain)
    found = split_alpha(values)
    taken = _of_array(found.colour)

    def back(pixels: NDArray[Any]) -> Image.Image:
        colour = taken.back(pixels)
        channels = colour if found.alpha is None else np.dstack([colour, found.alpha])
        restored = Image.fromarray(channels.reshape(values.shape))
        restored.info = dict(image.info)
        if image.mode == "CMYK":
            restored.info.pop("icc_profile", None)  # describes four inks
        return restored

    return Taken(taken.pixels, back)
