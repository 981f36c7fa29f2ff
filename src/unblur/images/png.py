"""Reads a PNG's pixels, and the chunks that say how to show them and what they are of (PNG, third edition)."""

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.images.channels import Channels, Values, full_range, split_alpha

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR = (b"cICP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")  # how values become light, beside a profile
TEXT = (b"tEXt", b"zTXt", b"iTXt")
GREY, GREY_ALPHA = 0, 4  # kinds of pixels in the header
WANTED = (*COLOUR, *TEXT, b"eXIf", b"pHYs", b"iCCP", b"tRNS")
MOST_BYTES = 1 << 24  # of a chunk that is read, and of a text that is compressed
XMP = "XML:com.adobe.xmp"
RAW_EXIF, RAW_IPTC = "Raw profile type exif", "Raw profile type iptc"  # as ImageMagick writes them

Chunks = tuple[tuple[bytes, bytes], ...]


def read_chunks(path: Path) -> Chunks:
    """Return the wanted chunks in the file's order as (name, content); pixels are skipped, damage ends the list."""
    found = []
    with path.open("rb") as stream:
        stream.seek(len(SIGNATURE))
        while len(head := stream.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in WANTED and length <= MOST_BYTES:
                found.append((name, stream.read(length)))
                stream.seek(4, 1)
            else:
                stream.seek(length + 4, 1)
    return tuple(found)


def read_png(path: Path) -> Channels:
    """Decode as it is stored: grey, palettes and fewer than 8 bits as 8, 16 as 16, a transparent colour as alpha.

    Raises:
        ValueError: truncated or damaged.
    """
    content = path.read_bytes()
    _check_whole(content)
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        msg = "its pixels cannot be decoded"
        raise ValueError(msg)
    bits, kind = content[24:26]
    if kind == GREY:
        transparent = dict(read_chunks(path)).get(b"tRNS")
        return Channels(pixels[..., None], None if transparent is None else _opaque(pixels, transparent, bits))
    # OpenCV has blue first, and three equal channels where there is grey with alpha.
    return split_alpha(pixels[..., [0, 3] if kind == GREY_ALPHA else [2, 1, 0, 3][: pixels.shape[2]]])


def _check_whole(content: bytes) -> None:
    """Raise ValueError unless the chunks with the pixels are there and as they were written.

    OpenCV would tell it on the terminal, and only that.
    """
    place, name = len(SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", content, place) if len(content) >= place + 12 else (len(content), b"")
        end = place + 8 + length
        if len(content) < end + 4:
            msg = "parts of the picture are missing"
            raise ValueError(msg)
        if name[:1].isupper() and zlib.crc32(content[place + 4 : end]) != int.from_bytes(content[end : end + 4]):
            msg = f"the checksum of its {name.decode()} does not hold"
            raise ValueError(msg)
        place = end + 4


def _opaque(grey: Values, transparent: bytes, bits: int) -> Values:
    """Return the alpha (H, W) of grey pixels of which one value, as it was before scaling, is transparent."""
    value = int.from_bytes(transparent[:2]) & (2**bits - 1)
    white = np.iinfo(grey.dtype).max
    return np.where(grey == full_range(np.array(value), bits), 0, white).astype(grey.dtype)


def read_texts(chunks: Chunks) -> tuple[tuple[str, str], ...]:
    """Return (keyword, text) of the chunks that hold text; what cannot be read is left out."""
    texts = []
    for name, content in chunks:
        if name in TEXT:
            keyword, _, rest = content.partition(b"\0")
            try:
                texts.append((keyword.decode("latin-1"), _text(name, rest)))
            except (UnicodeDecodeError, ValueError, zlib.error):
                continue
    return tuple(texts)


def raw_profile(text: str) -> bytes:
    """Return the bytes of a "Raw profile" text: a name, a length and hexadecimal digits.

    Raises:
        ValueError: it is not so.
    """
    _, length, *digits = text.split()
    content = bytes.fromhex("".join(digits))
    if len(content) != int(length):
        msg = f"{len(content)} bytes, {length} announced"
        raise ValueError(msg)
    return content


def _text(name: bytes, rest: bytes) -> str:
    if name == b"tEXt":
        return rest.decode("latin-1")
    if name == b"zTXt":
        return _inflated(rest[1:]).decode("latin-1")
    compressed, rest = rest[:1] == b"\1", rest[2:]
    _, _, rest = rest.partition(b"\0")  # the language
    _, _, rest = rest.partition(b"\0")  # the keyword in that language
    return (_inflated(rest) if compressed else rest).decode("utf-8")


def _inflated(data: bytes) -> bytes:
    unpacked = zlib.decompressobj()
    content = unpacked.decompress(data, MOST_BYTES)
    if unpacked.unconsumed_tail or not unpacked.eof:
        msg = "too long or truncated"
        raise ValueError(msg)
    return content
