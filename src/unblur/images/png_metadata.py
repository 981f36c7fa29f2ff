"""What a PNG says of its photograph: in chunks, in texts, and in the raw profiles that ImageMagick and ExifTool write.

PNG has places for EXIF (eXIf) and XMP (a text). Before it had the first, and for IPTC to this day, programs write the
block as hexadecimal digits into a text named "Raw profile type" and exif, APP1 (EXIF or XMP), xmp, iptc (IPTC or
Photoshop's resources) or 8bim (Photoshop's resources, of which one is IPTC).
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unblur.images.png import COLOUR, KNOWN, MOST_BYTES, RAW, TEXT, TOLD, XMP, Chunks, read_chunks, said

RAW_IPTC, RAW_RESOURCES = f"{RAW}iptc", f"{RAW}8bim"
LONGEST_KEYWORD = 79
MOST_NAMED = 3  # of what cannot be read
LINE = 72  # hexadecimal digits, as ImageMagick writes them
IPTC_BLOCK = 0x0404  # of Photoshop's resources
PHOTOSHOP = b"Photoshop 3.0\0"  # what may stand before the first
IPTC_RECORD = b"\x1c"  # how each of IPTC's begins
EXIF_NAME, XMP_NAME = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # what stands before them in JPEG's APP1


@dataclass(frozen=True)
class PngMetadata:
    """EXIF, XMP and IPTC blocks, profile, resolution in dots an inch, how values become light, texts (keyword, text).

    notes tell what could not be read.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour: Chunks = ()
    texts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def read_metadata(path: Path) -> PngMetadata:
    """Return all that a PNG says of its photograph; what is damaged or too long is a note, whatever it is."""
    chunks, unread = read_chunks(path)
    texts, damaged = read_texts(chunks)
    lost = [*unread, *damaged]
    blocks: dict[str, list[bytes]] = {"EXIF": [], "XMP": [], "IPTC": []}
    blocks["EXIF"] += [content for name, content in chunks if name == b"eXIf"]
    blocks["XMP"] += [text.encode() for keyword, text in texts if keyword == XMP]
    plain = [text for text in texts if text[0] not in KNOWN]
    for keyword, text in texts:
        if keyword.startswith(RAW) and keyword in KNOWN:
            try:
                content = raw_profile(text)
                for kind, block in _blocks(keyword, content):
                    blocks[kind].append(block)
                if keyword == RAW_RESOURCES and {code for code, _ in resources(content)} != {IPTC_BLOCK}:
                    plain.append((keyword, text))  # Photoshop's other resources stay what they are
            except ValueError:
                lost.append(said(keyword))
    try:
        icc = _profile(chunks)
    except (ValueError, zlib.error):
        icc = None
        lost.append(TOLD[b"iCCP"])
    several = [kind for kind, found in blocks.items() if len({_bare(block) for block in found}) > 1]
    notes = (
        *([f"damaged or too long, and left out: {_named(lost)}"] if lost else []),
        *(f"has several {kind} blocks that differ, only the first is kept" for kind in several),
    )
    exif, xmp, iptc = (next(iter(found), None) for found in blocks.values())
    colour = tuple(chunk for chunk in chunks if chunk[0] in COLOUR)
    return PngMetadata(exif, xmp, iptc, icc, _dpi(chunks), colour, tuple(plain), notes)


def read_texts(chunks: Chunks) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return (keyword, text) of the chunks that hold text, and in words which are damaged or too long."""
    texts, lost, room = [], [], [MOST_BYTES]
    for name, content in chunks:
        if name not in TEXT:
            continue
        keyword, separator, rest = content.partition(b"\0")
        word = keyword.decode("latin-1")
        sound = separator and len(word) in range(1, LONGEST_KEYWORD + 1) and word.isprintable()
        try:
            text = _text(name, rest, room) if sound else None
        except (UnicodeDecodeError, ValueError, zlib.error):
            text = None
        if text is None:
            lost.append(said(word))
        else:
            texts.append((word, text))
    return tuple(texts), tuple(lost)


def raw_profile(text: str) -> bytes:
    """Return the bytes of a "Raw profile" text: a line with a name, one with a length, then hexadecimal digits.

    Raises:
        ValueError: it is not so.
    """
    _, length, digits = text.lstrip().split("\n", 2)
    content = bytes.fromhex("".join(digits.rstrip("\0").split()))
    if len(content) != int(length):
        msg = f"{len(content)} bytes, {length.strip()} announced"
        raise ValueError(msg)
    return content


def write_raw_profile(name: str, content: bytes) -> str:
    """Return the text that `raw_profile` reads, in ImageMagick's form."""
    digits = content.hex()
    lines = [digits[start : start + LINE] for start in range(0, len(digits), LINE)]
    return "\n".join(["", name, f"{len(content):8d}", *lines, ""])


def resources(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of Photoshop's resources.

    Raises:
        ValueError: they are not whole.
    """
    place = len(PHOTOSHOP) if content.startswith(PHOTOSHOP) else 0
    end = len(content.rstrip(b"\0"))
    while place < end:
        try:
            code, name = struct.unpack_from(">HB", content, place + 4)
            start = place + 6 + (name + 2) // 2 * 2  # the name, its length before it, is filled up to an even number
            (length,) = struct.unpack_from(">I", content, start)
        except struct.error as error:
            raise ValueError(str(error)) from error
        block = content[start + 4 : start + 4 + length]
        if content[place : place + 4] != b"8BIM" or len(block) != length:
            msg = "no resource of Photoshop"
            raise ValueError(msg)
        yield code, block
        place = start + 4 + (length + 1) // 2 * 2


def _blocks(keyword: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (EXIF, XMP or IPTC, block) of a raw profile.

    Raises:
        ValueError: it holds something else.
    """
    if content.startswith((EXIF_NAME, b"MM\0*", b"II*\0")):
        yield "EXIF", content
    elif content.startswith(XMP_NAME) or keyword == RAW + "xmp":
        yield "XMP", content.removeprefix(XMP_NAME)
    elif keyword == RAW_IPTC and content.startswith(IPTC_RECORD):
        yield "IPTC", content
    elif keyword in (RAW_IPTC, RAW_RESOURCES):
        yield from (("IPTC", block) for code, block in resources(content) if code == IPTC_BLOCK)
    else:
        msg = "neither EXIF nor XMP"
        raise ValueError(msg)


def _profile(chunks: Chunks) -> bytes | None:
    """Return the colour profile: a name and a method stand before it."""
    content = dict(chunks).get(b"iCCP")
    return None if content is None else _inflated(content.partition(b"\0")[2], [MOST_BYTES])


def _dpi(chunks: Chunks) -> tuple[float, float] | None:
    """Return dots an inch; None where only the pixels' shape is told, or nothing."""
    content = dict(chunks).get(b"pHYs", b"")
    x, y, unit = struct.unpack(">IIB", content) if len(content) == 9 else (0, 0, 0)
    return (x * 0.0254, y * 0.0254) if unit == 1 else None


def _named(lost: list[str]) -> str:
    names = list(dict.fromkeys(lost))
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _bare(block: bytes) -> bytes:
    """Return a block as it can be compared: programs differ in what they write before and after it."""
    return block.removeprefix(EXIF_NAME).rstrip(b"\0")


def _text(name: bytes, rest: bytes, room: list[int]) -> str:
    if name == b"tEXt":
        return rest.decode("latin-1")
    if name == b"zTXt":
        return _inflated(rest, room).decode("latin-1")
    compressed, rest = rest[:1] == b"\1", rest[1:]
    method, rest = rest[:1], rest[1:]
    _, _, rest = rest.partition(b"\0")  # the language
    _, _, rest = rest.partition(b"\0")  # the keyword in that language
    return (_inflated(method + rest, room) if compressed else rest).decode("utf-8")


def _inflated(data: bytes, room: list[int]) -> bytes:
    """Return what stands behind a byte with the method, of which there is one; at most `room` bytes, which shrinks."""
    unpacked = zlib.decompressobj()
    content = unpacked.decompress(data[1:], max(room[0], 1))
    room[0] -= len(content)
    if data[:1] != b"\0" or unpacked.unconsumed_tail or not unpacked.eof:
        msg = "too long or truncated"
        raise ValueError(msg)
    return content
