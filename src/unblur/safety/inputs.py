"""What a file that a stranger made has to be before anything parses it: a plain file, of a bearable size."""

import math
from pathlib import Path

from unblur.errors import UnblurError, UsageError


def require_file(path: Path, what: str, max_bytes: int, mend: str) -> None:
    """Do nothing for a plain file of 1 to `max_bytes` bytes.

    Args:
        path: the file.
        what: was expected, such as "a picture (PNG or JPEG)".
        max_bytes: most bytes that are read.
        mend: what to do with a larger one.

    Raises:
        UnblurError: there is no such file, or it is empty or too large.
    """
    if not path.is_file():
        msg = f"{path}: there is no such file"
        raise UnblurError(msg)
    size = path.stat().st_size
    if size == 0:
        msg = f"{path}: the file is empty; {what} was expected"
        raise UnblurError(msg)
    if size > max_bytes:
        msg = f"{path}: {size} bytes, at most {max_bytes} are read; {mend}"
        raise UnblurError(msg)


def pixels_of(megapixels: float) -> int:
    """Return a limit in megapixels as the number of pixels.

    Raises:
        UsageError: it is no finite number above 0.
    """
    if not 0 < megapixels * 1e6 < math.inf:
        msg = f"a limit of {megapixels:g} megapixels: expected a finite number above 0"
        raise UsageError(msg)
    return round(megapixels * 1e6)


def require_pixels(path: Path, size: tuple[int, int], max_pixels: int, mend: str, of: str = "") -> None:
    """Do nothing for a width and height that make at most `max_pixels`.

    Raises:
        UnblurError: they make more; `of` is put before the number, such as "frames of ".
    """
    width, height = size
    if width * height > max_pixels:
        msg = (
            f"{path}: {of}{width * height / 1e6:.1f} megapixels ({width} x {height}), "
            f"at most {max_pixels / 1e6:.1f} are read; {mend}"
        )
        raise UnblurError(msg)
