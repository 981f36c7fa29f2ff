"""Reads a PNG's pixels, and the chunks that say how to show them and what they are of (PNG, third edition)."""

import struct
import zlib
from pathlib import Path

import imagecodecs

from unblur.images.channels import Channels, split_alpha

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR = (b"cICP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")  # how values become light, beside a profile
TEXT = (b"tEXt", b"zTXt", b"iTXt")
WANTED = (*COLOUR, *TEXT, b"eXIf", b"pHYs", b"iCCP")
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
        RuntimeError: truncated or damaged.
    """
    return split_alpha(imagecodecs.png_decode(path.read_bytes()))


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
