"""Writes photographs as PNG with 8 or 16 bits a channel and all that may be said of them (PNG, third edition)."""

import struct
import zlib
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from unblur.images.photo import Photo
from unblur.images.png import XMP

HEADER_BYTES = 33  # signature and IHDR; what describes the pixels comes right behind


def write_png(stream: BinaryIO, channels: NDArray[np.unsignedinteger[Any]], photo: Photo) -> None:
    """Write (H, W) grey or (H, W, 2 to 4), uint8 or uint16, with the photograph's metadata before the pixels."""
    encoded = imagecodecs.png_encode(
        np.ascontiguousarray(channels), level=6, out=channels.nbytes + channels.nbytes // 8 + 65536
    )
    chunks = [chunk for chunk in photo.colour if not (photo.icc and chunk[0] == b"sRGB")]  # one or the other
    if photo.icc:
        chunks.append((b"iCCP", b"icc\0\0" + zlib.compress(photo.icc)))
    if photo.dpi:
        x, y = (round(value / 0.0254) for value in photo.dpi)  # dots an inch -> dots a metre
        chunks.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    if photo.exif:
        chunks.append((b"eXIf", photo.exif.removeprefix(b"Exif\0\0")))
    texts = [(keyword, text.encode()) for keyword, text in photo.texts]
    if photo.xmp:
        texts.append((XMP, photo.xmp))
    chunks += [(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text) for keyword, text in texts]
    stream.write(encoded[:HEADER_BYTES])
    for name, content in chunks:
        stream.write(struct.pack(">I", len(content)) + name + content)
        stream.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))
    stream.write(encoded[HEADER_BYTES:])
