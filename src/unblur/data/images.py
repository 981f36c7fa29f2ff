"""Reading any photograph as (H, W, 3) RGB bytes, and writing PNG files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.images import DAMAGED, ImageHeader, check_image_header, open_image


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return a picture's pixels as they are stored, (H, W, 3) uint8 RGB in [0, 255].

    Grey becomes three equal channels; a palette and CMYK are converted; 16-bit values are scaled to 8 bits;
    transparency is dropped (the colours below it stay). EXIF orientation and colour profiles are not applied.

    Raises:
        UnblurError: not a picture, too large, truncated or damaged, or of a kind without a defined range (float).
    """
    header = check_image_header(path)
    if header.bits == 32:
        msg = f"{path}: {header.mode!r} pixels (32 bits) have no fixed range; save the picture with 8 or 16 bits"
        raise UnblurError(msg)
    try:
        with open_image(path) as image:
            image.load()
            pixels = _to_rgb(image, header)
    except DAMAGED as error:
        msg = f"{path}: the picture is truncated or damaged ({error}); replace the file"
        raise UnblurError(msg) from error
    return pixels


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
    """Return a function that says whether a picture's text names that software."""

    def is_made(path: Path) -> bool:
        try:
            with open_image(path) as image:
                return image.info.get("Software") == software
        except DAMAGED:
            return False

    return is_made


def _to_rgb(image: Image.Image, header: ImageHeader) -> NDArray[np.uint8]:
    if header.bits == 16 and image.mode.startswith("I"):  # 16-bit grey; 16-bit colour comes as 8 bits from Pillow
        values = np.asarray(image).astype(np.uint32)
        grey = ((values + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))  # a copy, so that it may be written to
