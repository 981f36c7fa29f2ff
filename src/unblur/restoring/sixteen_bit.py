"""Photographs with 16 bits a channel, which Pillow reads and writes as 8: OpenCV decodes them, PNG is written here."""

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError

Deep = NDArray[np.unsignedinteger[Any]]  # uint16

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read(path: Path) -> tuple[Deep, Deep | None]:
    """Return colour, (H, W) or (H, W, 3) RGB, and alpha, (H, W) or None. The orientation tag counts in TIFF only.

    Raises:
        UnblurError: OpenCV cannot decode the file as 16-bit channels.
    """
    found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.shape[2:] not in ((), (3,), (4,)):
        msg = f"{path}: this kind of 16-bit file cannot be decoded; save it as 16-bit RGB PNG or TIFF"
        raise UnblurError(msg)
    if found.ndim == 2:
        return found.astype(np.uint16, copy=False), None
    colour = np.ascontiguousarray(found[..., 2::-1])  # BGR(A) -> RGB
    return colour, np.ascontiguousarray(found[..., 3]) if found.shape[2] == 4 else None


def write_png(
    path: Path, channels: Deep, exif: bytes | None, icc: bytes | None, dpi: tuple[float, float] | None
) -> None:
    """Write (H, W) grey or (H, W, 2 to 4) as a PNG, its metadata before the pixels."""
    height, width = channels.shape[:2]
    samples = 1 if channels.ndim == 2 else channels.shape[2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    rows = channels.reshape(height, width, samples).astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 1  # filter "Sub": each byte minus that of the pixel before, modulo 256
    filtered[:, 1:] = rows
    filtered[:, 1 + 2 * samples :] -= rows[:, : -2 * samples]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))]
    if icc:
        chunks.append((b"iCCP", b"icc\0\0" + zlib.compress(icc)))
    if dpi:
        x, y = (round(value / 0.0254) for value in dpi)  # dots an inch -> dots a metre
        chunks.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    if exif:
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(filtered.data, 6)), (b"IEND", b"")]
    with path.open("wb") as stream:
        stream.write(PNG_SIGNATURE)
        for name, content in chunks:
            stream.write(struct.pack(">I", len(content)) + name + content)
            stream.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))
