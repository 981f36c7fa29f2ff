"""SHA-256 of files, the identity of every photo, pair and model."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from unblur.errors import UnblurError
from unblur.safety.atomic import replacing

LISTING = "sha256.json"
"""Beside the files of a model: name -> SHA-256."""


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_listing(files: Iterable[Path], folder: Path) -> None:
    """Write down the SHA-256 of files in `folder`, for `check_listed`."""
    listed = {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}
    with replacing(folder / LISTING) as unfinished:
        unfinished.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def check_listed(file: Path) -> None:
    """Do nothing if no listing beside the file names it, or if it is what was listed.

    Raises:
        UnblurError: the file is missing, or is not what was listed.
    """
    try:
        expected = json.loads((file.parent / LISTING).read_text(encoding="utf-8"))[file.name]
    except (OSError, ValueError, KeyError, TypeError):
        expected = None
    if not file.is_file():
        msg = f"{file}: is missing; make the model again"
        raise UnblurError(msg)
    if expected not in (None, sha256_file(file)):
        msg = f"{file}: is not the file that was written here, as {LISTING} beside it tells; make the model again"
        raise UnblurError(msg)
