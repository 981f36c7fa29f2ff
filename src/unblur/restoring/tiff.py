"""Writes photographs as TIFF with 8 or 16 bits a channel and their metadata (TIFF 6.0)."""

import io
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from unblur.images.photo import Photo

DEFLATE, HORIZONTAL_PREDICTOR = 8, 2
STRIP_ROWS = 64


def write_tiff(
    stream: BinaryIO,
    channels: NDArray[np.unsignedinteger[Any]],
    photo: Photo,
) -> None:
    """Write (H, W) grey or (H, W, 2 to 4), uint8 or uint16, as a little-endian TIFF.

    Deflate with horizontal prediction, strips of 64 rows. Pillow could not: it writes no 16-bit colour, and fails on
    some EXIF directories when it compresses.
    """
    deep = channels.dtype == np.uint16
    height, width = channels.shape[:2]
    samples = 1 if channels.ndim == 2 else channels.shape[2]
    pixels = channels.reshape(height, width, samples).astype(channels.dtype.newbyteorder("<"))
    pixels[:, 1:] -= pixels[:, :-1].copy()  # the predictor's differences, modulo 256 or 65536
    strips = [zlib.compress(pixels[row : row + STRIP_ROWS].tobytes(), 6) for row in range(0, height, STRIP_ROWS)]

    directory = ImageFileDirectory_v2()
    if photo.exif:
        block = Image.Exif()
        block.load(photo.exif)
        for tag, value in block.items():
            if not isinstance(value, dict):
                directory[tag] = value
        for name in (0x8769, 0x8825):  # the EXIF and GPS directories
            if inner := block.get_ifd(name):
                directory[name] = dict(inner)
    for tag, value in {
        256: width,
        257: height,
        258: (16 if deep else 8,) * samples,
        259: DEFLATE,
        262: 1 if samples < 3 else 2,  # photometric: black is zero, RGB
        277: samples,
        278: STRIP_ROWS,
        279: tuple(map(len, strips)),
        284: 1,  # channels interleaved
        317: HORIZONTAL_PREDICTOR,
    }.items():
        directory[tag] = value
    if samples in (2, 4):
        directory[338] = 2  # the extra channel is alpha, not premultiplied
    for tag, content in ((34675, photo.icc), (700, photo.xmp), (33723, photo.iptc)):
        if content:
            directory.tagtype[tag] = 7
            directory[tag] = content
    if photo.dpi:
        directory[282], directory[283], directory[296] = photo.dpi[0], photo.dpi[1], 2
    directory[273] = tuple(np.cumsum([0, *map(len, strips[:-1])]).tolist())  # Pillow adds the directory's own length
    header = io.BytesIO()
    directory.save(header)
    stream.write(header.getvalue())
    stream.writelines(strips)
