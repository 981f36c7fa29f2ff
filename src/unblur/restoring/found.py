"""The photographs that lie below a folder, and what is left out there."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from unblur.errors import UnblurError
from unblur.restoring.photo import FORMATS
from unblur.safety.paths import real_path
from unblur.safety.written import LIST

COMPARISON = ".compare.png"
UNLISTED = "folders that cannot be listed"


def find_photos(
    folder: Path, leave_out: Path | None = None, unlisted: Callable[[str], None] | None = None
) -> tuple[list[Path], Counter[str]]:
    """Return the photographs below a folder by their suffix, sorted, and how many other files there are of each kind.

    Hidden files and folders, links to folders or to nothing, before/after pictures and other endings are left out.

    Args:
        folder: to look through.
        leave_out: what lies in it is no photograph, and is not counted.
        unlisted: is called with a line for each folder that cannot be listed, which is counted then.

    Raises:
        UnblurError: a folder cannot be listed, and `unlisted` is None.
    """
    without = real_path(leave_out) if leave_out is not None else None
    if without is not None and real_path(folder).is_relative_to(without):
        without = None  # an output folder around the input leaves nothing out
    found, others = [], Counter[str]()

    def pass_over(error: OSError) -> None:
        place = Path(error.filename or folder)
        if _is_hidden(place, folder):
            others["hidden"] += 1
            return
        line = f"{place}: cannot be listed ({error.strerror}); change its owner or mode, or move it away"
        if unlisted is None:
            raise UnblurError(line) from error
        unlisted(line)
        others[UNLISTED] += 1

    for place, folders, names in os.walk(folder, onerror=pass_over):
        if not os.access(place, os.X_OK):  # its names can be listed, but nothing can be opened
            pass_over(PermissionError(errno.EACCES, os.strerror(errno.EACCES), place))
            folders.clear()
            continue
        paths = [Path(place, name) for name in (*folders, *names)]
        paths = [path for path in paths if without is None or not real_path(path).is_relative_to(without)]
        folders[:] = [path.name for path in paths if _is_folder(path)]
        for path in paths:
            if _is_folder(path) or path.name == LIST:
                continue
            kind = _left_out_as(path, folder)
            others[kind] += 1
            if not kind:
                found.append(path)
    del others[""]
    return sorted(found), others


def _is_folder(path: Path) -> bool:
    return not path.is_symlink() and path.is_dir()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:  # a link to what may not be looked at
        return False


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _left_out_as(path: Path, folder: Path) -> str:
    """Return the kind as which a file is counted, nothing for a photograph."""
    if _is_hidden(path, folder):
        return "hidden"
    if not _is_file(path):
        return "links to folders or to nothing"
    if path.name.endswith(COMPARISON):
        return "before/after pictures"
    return "" if path.suffix.lower() in FORMATS else ending(path)


def shown(left_out: Mapping[str, int]) -> str:
    """Say in words what was left out: "3 .heic, 1 hidden"."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))


def ending(path: Path) -> str:
    """Return the kind of a file by its suffix, as it is counted."""
    return path.suffix.lower() or "without an ending"
