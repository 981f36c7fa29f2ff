"""Reads AVIF and HEIC (ISO 23008-12): 8 bits, or 10 and 12 as 16, and how their values become light.

Pillow and imagecodecs read AVIF. HEIC needs the optional package pillow-heif. Both keep a picture that was turned as it
lies and say so, the first in EXIF; libheif turns the pixels itself.
"""

import importlib.util
import struct
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import ExifTags, Image

from unblur.errors import MissingPackageError, UnblurError
from unblur.images.channels import Channels, full_range, split_alpha

if TYPE_CHECKING:
    from pillow_heif import HeifImage

AVIF = (b"avif", b"avis")
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
HAS_HEIC = importlib.util.find_spec("pillow_heif") is not None
OF_HEIC = (".heic", ".heif", ".hif")
SUFFIXES = {".avif": "AVIF"} | (dict.fromkeys(OF_HEIC, "HEIF") if HAS_HEIC else {})
"""Endings of the files that can be read here."""
MOST_BYTES = 1 << 20  # in which the boxes before the pixels are looked for
SRGB = (1, 13)  # primaries and transfer (ITU-T H.273)
UNSPECIFIED = 2


def kind_of(path: Path) -> str | None:
    """Return AVIF or HEIF by the brands at the file's beginning, None of any other file."""
    with path.open("rb") as stream:
        start = stream.read(256)
    size = int.from_bytes(start[:4], "big")
    if start[4:8] != b"ftyp" or size < 16:
        return None
    brands = [start[8:12], *(start[at : at + 4] for at in range(16, min(size, len(start)), 4))]
    found = next((brand for brand in brands if brand in AVIF or brand in HEIC), None)
    if found is None:
        return None
    return "AVIF" if found in AVIF else "HEIF"


def avif_bits(path: Path) -> int:
    """Return the bits a channel of an AVIF: 8, 10 or 12, from the flags of its first AV1 configuration."""
    flags = _after(path, b"av1C", 3)[2:]
    if not flags or not flags[0] & 0x40:
        return 8
    return 12 if flags[0] & 0x20 else 10


def light(path: Path) -> tuple[tuple[bytes, bytes], ...]:
    """Return the file's primaries and transfer as the content of PNG's cICP; nothing of sRGB, or where it says none."""
    found = _after(path, b"colrnclx", 4)
    if len(found) < 4:
        return ()
    primaries, transfer = struct.unpack(">HH", found)
    if (primaries, transfer) == SRGB or UNSPECIFIED in (primaries, transfer) or max(primaries, transfer) > 255:
        return ()
    return ((b"cICP", bytes((primaries, transfer, 0, 1))),)


def read_avif(path: Path, bits: int) -> Channels:
    """Decode as it is stored, not turned.

    Raises:
        MissingPackageError: imagecodecs is not installed.
        UnblurError: it was built without AVIF.
        RuntimeError: truncated or damaged.
    """
    try:
        import imagecodecs
    except ModuleNotFoundError as error:
        msg = f"{path}: AVIF is decoded by imagecodecs, which is not installed: pip install 'unblur[codecs]'"
        raise MissingPackageError(msg) from error
    if not imagecodecs.AVIF.available:
        msg = f"{path}: the imagecodecs of this machine was built without AVIF; install it from PyPI"
        raise UnblurError(msg)
    return split_alpha(full_range(imagecodecs.avif_decode(path.read_bytes()), bits))


def open_heic(path: Path) -> "HeifImage":
    """Open a HEIC without decoding it; of several pictures the one that is meant, with `info`.

    Raises:
        UnblurError: pillow-heif is not installed.
        ValueError: damaged; pillow-heif raises others too.
    """
    if not HAS_HEIC:
        msg = f"{path}: HEIC is read with pillow-heif, which is not installed: pip install 'unblur[heic]'"
        raise UnblurError(msg)
    import pillow_heif

    found = pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    return found[found.primary_index]


def heic_bits(image: "HeifImage") -> int:
    """Return the bits a channel of an opened HEIC."""
    return cast("int", image.info["bit_depth"])


def read_heic(image: "HeifImage") -> Channels:
    """Decode an opened HEIC, upright."""
    return split_alpha(full_range(np.asarray(image), heic_bits(image)))


def heic_exif(image: "HeifImage") -> Image.Exif:
    """Return the EXIF of an opened HEIC; its orientation says how the pixels lay before they were turned."""
    exif = Image.Exif()
    block = image.info.get("exif")
    if isinstance(block, bytes):
        exif.load(block)
        if ExifTags.Base.Orientation in exif:
            exif[ExifTags.Base.Orientation] = 1
    return exif


def left_out(image: "HeifImage") -> tuple[str, ...]:
    """Say what else an opened HEIC holds."""
    if image.info.get("aux") or image.info.get("depth_images"):
        return ("appended pictures (gain map, depth or preview) are left out",)
    return ()


def _after(path: Path, mark: bytes, count: int) -> bytes:
    """Return the bytes after a box's name, near the file's beginning."""
    with path.open("rb") as stream:
        start = stream.read(MOST_BYTES)
    at = start.find(mark)
    return b"" if at < 0 else start[at + len(mark) : at + len(mark) + count]
