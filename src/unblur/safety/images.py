"""What a picture's header says, checked before a single pixel is decoded."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from unblur.errors import UnblurError

# The formats that are read. Pillow knows more, some with decoders that run other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM")
READABLE = "PNG, JPEG, WebP, TIFF, BMP or PPM"
MAX_BYTES = 1 << 30
# What Pillow's parsers raise on damaged files, beside OSError.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, OverflowError, MemoryError),
    *(struct.error, zlib.error),
)


@dataclass(frozen=True)
class ImageHeader:
    """Width and height in pixels, Pillow's mode and format names, bits a channel (1, 8, 16 or 32)."""

    width: int
    height: int
    mode: str
    format: str
    bits: int = 8


def check_image_header(path: Path, max_pixels: int = 250_000_000, max_bytes: int = MAX_BYTES) -> ImageHeader:
    """Read a picture's header and refuse what must not be decoded.

    Args:
        path: a PNG, JPEG, WebP, TIFF, BMP or PPM file.
        max_pixels: most pixels allowed. Pillow's own limit (`PIL.Image.MAX_IMAGE_PIXELS`, 89 megapixels unless a
            program raises it) holds as well: where Pillow would warn of a decompression bomb, this raises.
        max_bytes: most bytes that the file may have.

    Raises:
        UnblurError: no such file, an empty one, too many bytes or pixels, or not a picture.
    """
    if not path.is_file():
        msg = f"{path}: there is no such file"
        raise UnblurError(msg)
    size = path.stat().st_size
    if size == 0:
        msg = f"{path}: the file is empty; a picture ({READABLE}) was expected"
        raise UnblurError(msg)
    if size > max_bytes:
        msg = f"{path}: {size} bytes, at most {max_bytes} are read; save the picture smaller"
        raise UnblurError(msg)
    limit = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
    try:
        with open_image(path) as image:
            width, height = image.size
            header = ImageHeader(width, height, image.mode, str(image.format), _bits(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        msg = f"{path}: more than {limit / 1e6:.1f} megapixels, the most that is read; scale it down or cut it in parts"
        raise UnblurError(msg) from error
    except UnidentifiedImageError as error:
        msg = f"{path}: not a picture that can be read; {READABLE} was expected"
        raise UnblurError(msg) from error
    except PermissionError as error:
        msg = f"{path}: no permission to read it"
        raise UnblurError(msg) from error
    except DAMAGED as error:
        msg = f"{path}: the picture's header is damaged ({error}); replace the file"
        raise UnblurError(msg) from error
    if width * height > limit:
        msg = (
            f"{path}: {width * height / 1e6:.1f} megapixels ({width} x {height}), at most {limit / 1e6:.1f} are read; "
            "scale it down or cut it in parts"
        )
        raise UnblurError(msg)
    return header


def open_image(path: Path) -> Image.Image:
    """Open a picture without decoding it; only the formats above, and Pillow's bomb warning is raised as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(path, formats=FORMATS)


def _bits(image: Image.Image) -> int:
    """Return the bits a channel in the file: Pillow's mode hides them for 16-bit colour, its tiles do not."""
    if image.mode == "1":
        return 1
    if (
        image.mode.startswith("I;16")
        or ";16" in str(getattr(image, "tile", ""))
        or (image.mode == "I" and image.format == "PPM")
    ):
        return 16
    return 32 if image.mode in ("I", "F") else 8
