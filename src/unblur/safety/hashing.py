"""SHA-256 of files, the identity of every photo, pair and model."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
    """Write down the SHA-256 of files in `folder`, for `read_listed`."""
    listed = {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}
    with replacing(folder / LISTING) as unfinished:
        unfinished.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def read_listed(file: Path) -> tuple[bytes, str]:
    """Return a file's content and its SHA-256; it is read once, so what is checked is what is used.

    Raises:
        UnblurError: the file is missing or cannot be read, or a listing beside it names another.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        msg = f"{file}: is missing; make the model again"
        raise UnblurError(msg) from error
    except OSError as error:
        msg = f"{file}: cannot be read ({error.strerror})"
        raise UnblurError(msg) from error
    sha256 = hashlib.sha256(content).hexdigest()
    require_listed(file, listed_sha256(file), lambda: sha256)
    return content, sha256


@contextmanager
def listed_copy(file: Path) -> Iterator[tuple[Path, str]]:
    """Give a private copy of a file that the listing beside it names, and its SHA-256; the copy goes with the block.

    The bytes that are copied are the ones that are hashed: whoever exchanges the file meanwhile changes nothing.

    Raises:
        UnblurError: no listing names the file, or it is not what was listed.
    """
    expected = listed_sha256(file)
    if expected is None:
        msg = f"{file}: no {LISTING} beside it vouches for it; make it yourself"
        raise UnblurError(msg)
    with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
        copy = Path(folder) / file.name
        digest = hashlib.sha256()
        with file.open("rb") as source, copy.open("wb") as sink:
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                sink.write(chunk)
        require_listed(file, expected, digest.hexdigest)
        yield copy, expected


def listed_sha256(file: Path) -> str | None:
    """Return what the listing beside a file says of it, None where nothing does."""
    try:
        return str(json.loads((file.parent / LISTING).read_text(encoding="utf-8"))[file.name])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def require_listed(file: Path, expected: str | None, found: Callable[[], str]) -> None:
    """Do nothing if nothing was listed, or what was `found`.

    Raises:
        UnblurError: another file.
    """
    if expected is not None and expected != found():
        msg = f"{file}: is not the file that was written here, as {LISTING} beside it tells; make the model again"
        raise UnblurError(msg)
