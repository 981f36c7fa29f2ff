"""Reads the pixels of a TIFF's first page (TIFF 6.0, BigTIFF), whatever way they lie in the file."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from unblur.errors import MissingPackageError, UnblurError
from unblur.images.channels import Channels, full_range, unassociated

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_SAMPLES = 16
MOST_TILE_PIXELS = 1 << 28
COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3, "PALETTE": 1, "SEPARATED": 4, "YCBCR": 3}
MADE_RGB = (6, 7, 33007)  # compressions whose decoder answers YCbCr with RGB: JPEG
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # what a further sample is
FULL_RANGE = ((0, 1), (255, 1), (128, 1), (255, 1), (128, 1), (255, 1))
CODECS = "pip install 'unblur[codecs]'"
LUMA = (0.299, 0.587, 0.114)

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its remarks on odd tags are meant for programmers


@dataclass(frozen=True)
class TiffHeader:
    """Width and height as stored, kind of pixels, bits a channel, orientation (1 to 8)."""

    width: int
    height: int
    kind: str
    bits: int
    orientation: int


@contextmanager
def first_page(path: Path) -> Iterator[tuple[tifffile.TiffFile, tifffile.TiffPage]]:
    """Open a TIFF and give its first page, of which no pixel is decoded yet."""
    with tifffile.TiffFile(path) as file:
        yield file, file.pages.first


def is_tiff(path: Path) -> bool:
    """Say whether the file begins as TIFF or BigTIFF do."""
    with path.open("rb") as stream:
        return stream.read(4) in MAGIC


def read_header(path: Path) -> TiffHeader:
    """Return what the first page's tags say.

    Raises:
        Exception: as tifffile raises on damaged files, or for a width or height that is no single whole number.
    """
    with first_page(path) as (_, page):
        if not all(isinstance(side, int) for side in (page.imagewidth, page.imagelength)):
            msg = "its width or height is no whole number"
            raise ValueError(msg)
        orientation = page.tags.valueof(274)
        bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
        kind = getattr(page.photometric, "name", str(page.photometric))
        if page.sampleformat != tifffile.SAMPLEFORMAT.UINT:
            kind += f" {getattr(page.sampleformat, 'name', page.sampleformat)}"
        found = orientation if orientation in range(1, 9) else 1
        return TiffHeader(page.imagewidth, page.imagelength, kind, bits, found)


def read_tiff(path: Path) -> Channels:
    """Decode the first page as it is stored, not turned: grey, RGB or CMYK, uint8 or uint16, and its transparency.

    Associated alpha is divided out of the colours; other further samples are left out, with a note.

    Raises:
        UnblurError: pixels of a kind that is not read, named.
        Exception: as tifffile and imagecodecs raise on damaged files.
    """
    with first_page(path) as (file, page):
        reason = _refused(page)
        if reason:
            msg = f"{path}: TIFF with {reason} is not read; save it as RGB with 8 or 16 bits"
            raise UnblurError(msg)
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True))
        if 0 in page.databytecounts or max(ends, default=0) > file.filehandle.size:
            msg = "parts of the picture are missing"
            raise ValueError(msg)
        try:
            stored = page.asarray(squeeze=False, maxworkers=1)
        except (KeyError, NotImplementedError) as error:  # a compression that is not known
            msg = f"{path}: TIFF with this compression cannot be decoded ({error}); save it with LZW or Deflate"
            raise UnblurError(msg) from error
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            kind = getattr(page.compression, "name", page.compression)
            msg = f"{path}: TIFF in {kind} is decoded by imagecodecs, which is not installed: {CODECS}"
            raise MissingPackageError(msg) from error
        return _interpreted(stored, page)


def _refused(page: tifffile.TiffPage) -> str:
    """Return why the page is not read, or nothing."""
    kind = getattr(page.photometric, "name", str(page.photometric))
    samples, bits = page.samplesperpixel, page.bitspersample
    tile = page.tilewidth * page.tilelength if page.is_tiled else 0
    reasons = {
        f"{kind} pixels": kind not in COLOURS,
        f"{bits} bits a sample": not isinstance(bits, int) or bits > 16,
        f"{getattr(page.sampleformat, 'name', page.sampleformat)} samples": page.sampleformat != 1,
        f"{samples} samples a pixel of {kind}": not COLOURS.get(kind, samples) <= samples <= MOST_SAMPLES,
        "several layers in depth": page.imagedepth != 1,
        f"tiles of {tile} pixels": tile > MOST_TILE_PIXELS,
        "inks other than CMYK": kind == "SEPARATED" and page.tags.valueof(332, 1) != 1,
        "associated alpha of another colour than RGB or grey": ASSOCIATED in page.extrasamples
        and kind not in ("RGB", "MINISBLACK"),
        "YCbCr of limited range or halved colours": kind == "YCBCR" and not _plain_ycbcr(page),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _plain_ycbcr(page: tifffile.TiffPage) -> bool:
    if page.compression in MADE_RGB:
        return True
    luma = [number / max(divisor, 1) for number, divisor in _pairs(page.tags.valueof(529))]
    ranges = _pairs(page.tags.valueof(532)) or FULL_RANGE
    return (
        page.bitspersample == 8
        and page.compression in (1, 5, 8, 32946)
        and (page.subsampling or page.tags.valueof(530, (2, 2))) == (1, 1)
        and all(math.isclose(a, b, abs_tol=1e-3) for a, b in zip(luma or LUMA, LUMA, strict=False))
        and all(a * d == b * c for (a, b), (c, d) in zip(ranges, FULL_RANGE, strict=False))
    )


def _pairs(values: tuple[int, ...] | None) -> tuple[tuple[int, int], ...]:
    """Group a tag's fractions: tifffile gives numerators and denominators in one row."""
    flat = tuple(values or ())
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _interpreted(stored: NDArray[Any], page: tifffile.TiffPage) -> Channels:
    kind = getattr(page.photometric, "name", "")
    # (planes, depth 1, H, W, interleaved) -> (H, W, samples): either planes or interleaved is 1
    samples = np.moveaxis(stored[:, 0], 0, -1).reshape(*stored.shape[2:4], -1)
    inks = COLOURS[kind]
    if kind == "PALETTE":
        colour = _from_palette(samples[..., 0], page)
        further = full_range(samples[..., inks:], page.bitspersample)
    else:
        values = full_range(samples, page.bitspersample)
        colour, further = values[..., :inks], values[..., inks:]
    if kind == "MINISWHITE":
        colour = np.iinfo(colour.dtype).max - colour
    if kind == "YCBCR" and page.compression not in MADE_RGB:
        colour = np.asarray(Image.fromarray(np.ascontiguousarray(colour), "YCbCr").convert("RGB"))
    untold = kind == "RGB" and further.shape[2] == 1 and page.tags.get(338) is None  # OpenCV writes RGBA like this
    return _with_alpha(colour, further, (UNASSOCIATED,) if untold else tuple(page.extrasamples))


def _with_alpha(colour: NDArray[Any], further: NDArray[Any], meanings: tuple[int, ...]) -> Channels:
    """Find the transparency among the further samples (H, W, N); what they are may be said of fewer or of none."""
    count = further.shape[2]
    meanings = (UNSPECIFIED,) * (count - len(meanings)) + meanings[max(0, len(meanings) - count) :]
    place = next((i for i, meaning in enumerate(meanings) if meaning in (ASSOCIATED, UNASSOCIATED)), None)
    lost = count - (place is not None)
    notes = (f"{lost} channel{'s' * (lost > 1)} beside the colours left out",) if lost else ()
    alpha = None if place is None else np.ascontiguousarray(further[..., place])
    if alpha is not None and place is not None and meanings[place] == ASSOCIATED:
        colour = unassociated(colour, alpha)
    return Channels(np.ascontiguousarray(colour), alpha, notes)


def _from_palette(indices: NDArray[Any], page: tifffile.TiffPage) -> NDArray[np.uint8]:
    """Look up (H, W) in the colour map, whose values have 16 bits, or 8 where an old program wrote it."""
    colours = np.asarray(page.colormap)  # (3, 2 ** bits)
    eight = colours if colours.max(initial=0) < 256 else colours >> 8
    found: NDArray[np.uint8] = eight.astype(np.uint8).T[indices]
    return found


@dataclass(frozen=True)
class TiffTags:
    """What of a TIFF's first page is written back beside EXIF, and the number of pages."""

    icc: bytes | None
    xmp: bytes | None
    iptc: bytes | None
    dpi: tuple[float, float] | None
    pages: int


def read_tags(path: Path) -> TiffTags:
    """Return profile, XMP, IPTC, resolution in dots an inch (None if it says nothing), and how many pages there are."""
    with first_page(path) as (file, page):
        sides = [page.tags.valueof(tag) for tag in (282, 283)]
        inches = {2: 1.0, 3: 2.54}.get(int(page.tags.valueof(296, 2)))
        known = inches and all(isinstance(side, tuple) and len(side) == 2 and min(side) > 0 for side in sides)
        dpi = tuple(side[0] / side[1] * (inches or 1) for side in sides) if known else None
        icc, xmp, iptc = (_block(page.tags.valueof(tag), file.byteorder) for tag in (34675, 700, 33723))
        return TiffTags(icc, xmp, iptc, (dpi[0], dpi[1]) if dpi else None, len(file.pages))


def _block(value: object, order: str) -> bytes | None:
    """Return a tag's bytes; IPTC is often stored as 32-bit numbers."""
    if isinstance(value, tuple):
        return np.array(value, f"{order}u4" if max(value, default=0) > 255 else np.uint8).tobytes()
    return value if isinstance(value, bytes) and value else None
