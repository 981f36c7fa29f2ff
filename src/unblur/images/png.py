"""Reads a PNG's pixels, and the chunks that say how to show them and what they are of (PNG, third edition)."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.images.channels import Channels, Values, full_range, split_alpha

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR = (b"cICP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")  # how values become light, beside a profile
TEXT = (b"tEXt", b"zTXt", b"iTXt")
GREY, GREY_ALPHA = 0, 4  # kinds of pixels in the header
XMP, RAW = "XML:com.adobe.xmp", "Raw profile type "
KNOWN = {XMP: "XMP", f"{RAW}xmp": "XMP", f"{RAW}exif": "EXIF", f"{RAW}APP1": "EXIF or XMP"}
KNOWN |= {f"{RAW}iptc": "IPTC", f"{RAW}8bim": "IPTC"}
TOLD = {b"eXIf": "EXIF", b"pHYs": "resolution", b"iCCP": "colour profile", b"tRNS": "transparent colour"}
TOLD |= {name: name.decode() for name in COLOUR}
MOST_BYTES = 1 << 24  # of all chunks that are read together, and of all their texts
FRAMES = (b"acTL", b"fcTL")  # that there are several, before the first

Chunks = tuple[tuple[bytes, bytes], ...]


def read_chunks(path: Path) -> tuple[Chunks, tuple[str, ...]]:
    """Return the wanted chunks in the file's order as (name, content), and in words which are damaged or too long.

    Pixels are skipped; where the file is cut off the list ends.
    """
    found, lost, room = [], [], MOST_BYTES
    with path.open("rb") as stream:
        for name, length in _walk(stream):
            if name not in TOLD and name not in TEXT:
                continue
            content = stream.read(min(length, room))
            if len(content) == length and zlib.crc32(content, zlib.crc32(name)) == int.from_bytes(stream.read(4)):
                found.append((name, content))
                room -= length
            else:
                lost.append(TOLD.get(name) or said(content[:80].partition(b"\0")[0].decode("latin-1")))
    return tuple(found), tuple(lost)


def said(keyword: str) -> str:
    """Return a text in words: what its keyword stands for, or that, which may be anything, as it can be shown."""
    if keyword in KNOWN:
        return KNOWN[keyword]
    shown = "".join(letter if letter.isprintable() else "?" for letter in keyword[:40])
    return f"text {shown!r}"


def head(path: Path) -> io.BytesIO:
    """Return what stands before the pixels, without all that is said of them: Pillow refuses files for long texts."""
    kept = io.BytesIO()
    kept.write(SIGNATURE)
    with path.open("rb") as stream:
        for name, length in _walk(stream):
            if name == b"IDAT":
                kept.write(struct.pack(">I4s", length, name))
                break
            if name[:1].isupper() or name in (b"tRNS", *FRAMES):
                kept.write(struct.pack(">I4s", length, name) + stream.read(min(length, MOST_BYTES) + 4))
    kept.seek(0)
    return kept


def is_png(path: Path) -> bool:
    """Say whether the file begins as a PNG does."""
    with path.open("rb") as stream:
        return stream.read(len(SIGNATURE)) == SIGNATURE


def read_png(path: Path) -> Channels:
    """Decode as it is stored: grey, palettes and fewer than 8 bits as 8, 16 as 16, a transparent colour as alpha.

    Raises:
        ValueError: truncated or damaged.
    """
    content = path.read_bytes()
    bare = _pixels_alone(content)
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(bare, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        msg = "its pixels cannot be decoded"
        raise ValueError(msg)
    bits, kind = content[24:26]
    if kind == GREY:
        transparent = dict(read_chunks(path)[0]).get(b"tRNS")
        return Channels(pixels[..., None], None if transparent is None else _opaque(pixels, transparent, bits))
    # OpenCV has blue first, and three equal channels where there is grey with alpha.
    return split_alpha(pixels[..., [0, 3] if kind == GREY_ALPHA else [2, 1, 0, 3][: pixels.shape[2]]])


def _walk(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield name and length of each chunk; its content can be read then."""
    stream.seek(len(SIGNATURE))
    while len(start := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", start)
        place = stream.tell()
        yield name, length
        stream.seek(place + length + 4)


def _pixels_alone(content: bytes) -> bytes:
    """Return the file without what OpenCV has no need of, and would remark upon on the terminal.

    Raises:
        ValueError: the chunks with the pixels are not there, or not as they were written.
    """
    view, kept = memoryview(content), [memoryview(SIGNATURE)]
    place, name = len(SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", content, place) if len(content) >= place + 12 else (len(content), b"")
        end = place + 8 + length
        if len(content) < end + 4:
            msg = "parts of the picture are missing"
            raise ValueError(msg)
        if name[:1].isupper() or name == b"tRNS":
            sound = zlib.crc32(view[place + 4 : end]) == int.from_bytes(content[end : end + 4])
            if not sound and name != b"tRNS":
                msg = f"the checksum of its {name.decode()} does not hold"
                raise ValueError(msg)
            kept += [view[place : end + 4]] if sound else []
        place = end + 4
    return b"".join(kept)


def _opaque(grey: Values, transparent: bytes, bits: int) -> Values:
    """Return the alpha (H, W) of grey pixels of which one value, as it was before scaling, is transparent."""
    value = int.from_bytes(transparent[:2]) & (2**bits - 1)
    white = np.iinfo(grey.dtype).max
    return np.where(grey == full_range(np.array(value), bits), 0, white).astype(grey.dtype)
