"""What a picture's header says, checked before a single pixel is decoded."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError
from tifffile import TiffFileError

from unblur.errors import UnblurError
from unblur.images import heif, netpbm, png, tiff
from unblur.images.png_metadata import read_metadata
from unblur.safety.inputs import require_file, require_pixels

# The formats that are read. Pillow knows more, some with decoders that run other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "AVIF")
READABLE = "PNG, JPEG, WebP, TIFF, BMP, PPM, AVIF or HEIC"
SMALLER = "scale it down or cut it in parts"
MAX_BYTES = 1 << 30
# How other kinds begin, so that they are refused by name.
OTHERS = {
    b"GIF8": "GIF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\xff\xd8\xff": "JPEG that is damaged, lossless or of 12 bits",
    b"8BPS": "Photoshop file",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"FUJIFILMCCD-RAW": "camera's raw file",
    b"qoif": "QOI",
    b"\0\0\x01\0": "icon",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
}
# What the parsers of Pillow, tifffile and imagecodecs raise on damaged files.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, OverflowError, MemoryError),
    *(struct.error, zlib.error, RuntimeError, TiffFileError, AttributeError),
)


@dataclass(frozen=True)
class ImageHeader:
    """Width and height in pixels as shown, kind of pixels, Pillow's name of the format, bits a channel.

    The kind is Pillow's mode, of a TIFF its photometric interpretation. `orientation` (1 to 8) is what the stored
    pixels need; width and height have it applied.
    """

    width: int
    height: int
    mode: str
    format: str
    bits: int = 8
    orientation: int = 1


def check_image_header(path: Path, max_pixels: int = 250_000_000, max_bytes: int = MAX_BYTES) -> ImageHeader:
    """Read a picture's header and refuse what must not be decoded.

    Args:
        path: a PNG, JPEG, WebP, TIFF, BMP, PPM, AVIF or HEIC file.
        max_pixels: most pixels allowed. Pillow's own limit (`PIL.Image.MAX_IMAGE_PIXELS`, 89 megapixels unless a
            program raises it) holds as well: where Pillow would warn of a decompression bomb, this raises.
        max_bytes: most bytes that the file may have.

    Raises:
        UnblurError: no such file, an empty one, too many bytes or pixels, or not a picture.
    """
    require_file(path, f"a picture ({READABLE})", max_bytes, "save the picture smaller")
    limit = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
    try:
        header = _header_of(path)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        msg = f"{path}: more than {limit / 1e6:.1f} megapixels, the most that is read; {SMALLER}"
        raise UnblurError(msg) from error
    except UnidentifiedImageError as error:
        said = f"a {name} is not read" if (name := _name_of(path)) else "not a picture that can be read"
        msg = f"{path}: {said}; {READABLE} was expected"
        raise UnblurError(msg) from error
    except PermissionError as error:
        msg = f"{path}: no permission to read it"
        raise UnblurError(msg) from error
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        msg = f"{path}: the picture's header is damaged ({reason}); replace the file"
        raise UnblurError(msg) from error
    require_pixels(path, (header.width, header.height), limit, SMALLER)
    return header


def open_image(path: Path) -> Image.Image:
    """Open a picture without decoding it; only the formats above, and Pillow's bomb warning is raised as an error.

    Of a PNG it is the header alone: pixels and what is said of them are read elsewhere.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(png.head(path) if png.is_png(path) else path, formats=FORMATS)


def read_orientation(image: Image.Image, block: bytes | None = None) -> int:
    """Return the EXIF (or XMP) orientation, 1 to 8, of an opened picture but TIFF; a PNG has it in `block`."""
    try:
        found = png_exif(block) if image.format == "PNG" else image.getexif()
        orientation = found.get(ExifTags.Base.Orientation)
    except DAMAGED:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def png_exif(block: bytes | None) -> Image.Exif:
    """Return the EXIF of a PNG, empty where it has none."""
    exif = Image.Exif()
    if block is not None:
        exif.load(block)
    return exif


def _name_of(path: Path) -> str | None:
    """Return what a file is that is not read, by its first bytes; None where they say nothing."""
    with path.open("rb") as stream:
        start = stream.read(16)
    return next((name for magic, name in OTHERS.items() if start.startswith(magic)), None)


def _header_of(path: Path) -> ImageHeader:
    if tiff.is_tiff(path):
        return _tiff_header(path)
    if heif.kind_of(path) == "HEIF":
        image = heif.open_heic(path)
        return ImageHeader(*image.size, image.mode, "HEIF", heif.heic_bits(image))
    return _header(path)


def _header(path: Path) -> ImageHeader:
    with open_image(path) as image:
        orientation = read_orientation(image, read_metadata(path).exif if image.format == "PNG" else None)
        width, height = image.size if orientation < 5 else image.size[::-1]
        return ImageHeader(width, height, image.mode, str(image.format), _bits(image, path), orientation)


def _tiff_header(path: Path) -> ImageHeader:
    found = tiff.read_header(path)
    width, height = (found.width, found.height) if found.orientation < 5 else (found.height, found.width)
    return ImageHeader(width, height, found.kind, "TIFF", found.bits, found.orientation)


def _bits(image: Image.Image, path: Path) -> int:
    """Return the bits a channel in the file: Pillow's mode hides them for 16-bit colour, its tiles do not."""
    if image.mode == "1":
        return 1
    if image.format == "AVIF":
        return heif.avif_bits(path)
    if image.format == "PPM" and image.mode != "F":
        return 16 if netpbm.white_value(image) > 255 else 8
    if image.mode.startswith("I;16") or ";16" in str(getattr(image, "tile", "")):
        return 16
    return 32 if image.mode in ("I", "F") else 8
