"""Paths and names that come from a user, a list or an archive: none may leave its root; and which ones are the same."""

import os
import tempfile
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Self

from unblur.errors import UnblurError
from unblur.safety.atomic import UNFINISHED


class SafeName(str):
    """The name of a file or folder, which has no path in it: what a list calls a thing may become its file's name.

    A plain string is none for the type checker, so that a name out of a file has to come through here.

    Raises:
        UnblurError: it is empty, `.` or `..`, or holds a separator or a control character.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text."""
        if text in ("", ".", "..") or any(mark in "/\\" or mark < " " for mark in text):
            msg = f"{text!r}: is no plain name; expected one without separators"
            raise UnblurError(msg)
        return super().__new__(cls, text)


class SafePath(str):
    """A path as a list names it, relative to the list's folder; empty where there is no file.

    Raises:
        UnblurError: it is absolute or goes up. Links are another matter: see `inside`.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text."""
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or "\0" in text:
            msg = f"{text!r}: leads out of its folder; expected a path below it"
            raise UnblurError(msg)
        return super().__new__(cls, text)


def real_path(path: Path) -> Path:
    """Return the absolute path with symbolic links resolved; unlike `Path.resolve`, also of links in a circle."""
    return Path(os.path.realpath(path))


def inside(root: Path, relative: str) -> Path:
    """Return the absolute path of `relative` below `root`, with symbolic links resolved; it need not exist.

    Raises:
        UnblurError: the path is empty, absolute, or leads out of `root` (through `..` or a link).
    """
    if not relative or "\0" in relative:
        msg = f"{relative!r}: not a path; give one relative to {root}"
        raise UnblurError(msg)
    base = root.resolve()
    path = (base / relative).resolve()
    if Path(relative).is_absolute() or not path.is_relative_to(base):
        msg = f"{relative!r}: leads out of {root}; give a path inside it"
        raise UnblurError(msg)
    return path


def folded(path: Path) -> Path:
    """Return a path as disks compare it that do not tell `a` from `A`, or one way to write an accent from another."""
    return Path(unicodedata.normalize("NFC", str(path)).casefold())


def folds_names(folder: Path) -> bool:
    """Tell whether a folder, or the one that it will be made in, takes `a` and `A` for one name, as many disks do.

    A folder that cannot be written does not count: nothing will be written there.
    """
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".unblur-a", suffix=UNFINISHED) as probe:
            made = Path(probe.name)
            return made.with_name(made.name.swapcase()).exists()
    except OSError:
        return False
