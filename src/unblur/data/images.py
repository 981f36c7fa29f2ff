"""Reading any photograph as (H, W, 3) RGB bytes, and writing PNG files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unblur.errors import UnblurError
from unblur.images.channels import eight_bit
from unblur.images.photo import read_photo
from unblur.images.png_metadata import read_metadata
from unblur.safety.atomic import replacing


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return a picture's pixels upright, (H, W, 3) uint8 RGB in [0, 255].

    Grey becomes three equal channels; a palette and CMYK are converted; deeper values are scaled to 8 bits;
    transparency is dropped (the colours below it stay). EXIF orientation is applied, colour profiles are not.

    Raises:
        UnblurError: as `unblur.images.photo.read_photo`.
    """
    return np.require(eight_bit(read_photo(path).pixels), requirements="W")


def write_png(path: Path, image: NDArray[np.uint8], software: str | None = None) -> None:
    """Write an (H, W, 3) uint8 RGB array as a PNG file, whole or not at all; missing folders are made.

    `software` goes into the file's text, for `made_by`.

    Raises:
        UnblurError: the array has another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        msg = f"{path}: an (H, W, 3) uint8 array was expected, this one is {image.shape} {image.dtype}"
        raise UnblurError(msg)
    with replacing(path) as unfinished:
        text = PngInfo()
        if software:
            text.add_text("Software", software)
        Image.fromarray(np.ascontiguousarray(image)).save(unfinished, format="PNG", pnginfo=text)


def made_by(software: str) -> Callable[[Path], bool]:
    """Return a function that says whether a PNG's text names that software."""

    def is_made(path: Path) -> bool:
        try:
            return ("Software", software) in read_metadata(path).texts
        except OSError:
            return False

    return is_made
