"""Reads PGM and PPM whose white is any value up to 65535 (Netpbm); Pillow makes 8 bits of PPM."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from unblur.images.channels import Channels, scaled


def white_value(image: Image.Image) -> int:
    """Return the value that is white in an opened file (1 to 65535)."""
    arguments = _tile(image).args
    last = arguments[-1] if isinstance(arguments, tuple) else 255
    if isinstance(arguments, str) and arguments.startswith("I;16"):
        return 65535
    return last if isinstance(last, int) and last > 0 else 255


def read_scaled(path: Path, image: Image.Image) -> Channels:
    """Decode binary or plain values, scaled so that white is 255, or 65535 where it was above 255.

    Raises:
        ValueError: fewer values than pixels.
    """
    (width, height), samples = image.size, 1 if image.mode in ("I", "I;16", "I;16B", "L") else 3
    count, start = width * height * samples, _tile(image).offset
    content = path.read_bytes()
    if content[:2] in (b"P2", b"P3"):
        plain = re.sub(rb"#[^\n\r]*", b" ", content[start:]).split(None, count)[:count]
        values = np.array(plain, np.uint32)
    else:
        values = np.frombuffer(content, ">u2" if white_value(image) > 255 else np.uint8, count, start)
    if values.size < count:
        msg = f"{values.size} values for {count}"
        raise ValueError(msg)
    return Channels(scaled(values.reshape(height, width, samples), white_value(image)))


def _tile(image: Image.Image) -> ImageFile._Tile:
    """Return where an opened file's pixels begin, and what Pillow would decode them with."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        msg = "no pixels in it"
        raise ValueError(msg)
    return image.tile[0]
