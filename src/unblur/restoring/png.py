"""Writes photographs as PNG with 8 or 16 bits a channel and all that may be said of them (PNG, third edition)."""

import struct
import zlib
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.images.photo import Photo
from unblur.images.png import GREY_ALPHA, XMP
from unblur.images.png_metadata import RAW_IPTC, write_raw_profile

HEADER_BYTES = 33  # signature and IHDR
LEVEL = 6  # of zlib


def write_png(stream: BinaryIO, channels: NDArray[np.unsignedinteger[Any]], photo: Photo) -> None:
    """Write (H, W) grey or (H, W, 2 to 4), uint8 or uint16, with the photograph's metadata before the pixels."""
    header, pixels = _encoded(channels)
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
    if photo.iptc:
        digits = write_raw_profile("iptc", photo.iptc).encode()
        chunks.append((b"zTXt", RAW_IPTC.encode() + b"\0\0" + zlib.compress(digits)))
    stream.write(header)
    for name, content in chunks:
        stream.write(struct.pack(">I", len(content)) + name + content)
        stream.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))
    stream.write(pixels)


def _encoded(channels: NDArray[np.unsignedinteger[Any]]) -> tuple[bytes, bytes]:
    """Return signature and header, behind which chunks may stand, and the rest of the file."""
    count = 1 if channels.ndim == 2 else channels.shape[2]
    given: NDArray[Any] = channels
    if count == 2:  # OpenCV writes no grey with alpha: it gets the same bytes as grey of 16 bits or RGBA of 8
        given = np.ascontiguousarray(channels.astype(channels.dtype.newbyteorder(">")))
        given = given.view(">u2")[..., 0].astype(np.uint16) if given.itemsize == 1 else given.view(np.uint8)
    if given.ndim == 3:
        given = given[..., [2, 1, 0, 3][: given.shape[2]]]
    done, buffer = cv2.imencode(".png", np.ascontiguousarray(given), [cv2.IMWRITE_PNG_COMPRESSION, LEVEL])
    if not done:
        msg = f"PNG of {channels.shape} {channels.dtype} cannot be encoded"
        raise ValueError(msg)
    content = buffer.tobytes()
    header, pixels = content[:HEADER_BYTES], content[HEADER_BYTES:]
    if count == 2:
        header = header[:24] + bytes((8 * channels.itemsize, GREY_ALPHA)) + header[26:29]
        header += struct.pack(">I", zlib.crc32(header[12:]))
    return header, pixels
