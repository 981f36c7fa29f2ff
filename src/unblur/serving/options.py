"""What a request may ask for beside its photograph."""

from typing import Literal

from unblur.errors import UsageError
from unblur.library.model import share_of

Ending = Literal["jpg", "png", "webp", "tiff", "avif", "heic"]


def strength_of(text: str) -> float | None:
    """Return the share of the restoration that is asked for, None for auto.

    Raises:
        UsageError: it is neither a number from 0 to 1 nor auto.
    """
    try:
        return share_of("auto" if text == "auto" else float(text))
    except ValueError as error:
        msg = f"strength {text[:20]!r}: expected a number from 0 to 1, or auto"
        raise UsageError(msg) from error


def seconds_of(seconds: float | None) -> float | None:
    """Return the seconds that a request gives its restoration, None where it gives none.

    Raises:
        UsageError: not above 0.
    """
    if seconds is not None and not seconds > 0:
        msg = f"deadline {seconds:g}: expected seconds above 0"
        raise UsageError(msg)
    return seconds
