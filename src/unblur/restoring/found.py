"""The photographs that lie below a folder, and what is left out there."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from unblur.restoring.photo import FORMATS
from unblur.safety.paths import real_path
from unblur.safety.written import LIST

COMPARISON = ".compare.png"


def find_photos(folder: Path, leave_out: Path | None = None) -> tuple[list[Path], Counter[str]]:
    """Return the photographs below a folder by their suffix, sorted, and how many other files there are of each kind.

    Hidden files and folders, links to folders or to nothing, before/after pictures and other endings are left out, and
    what lies in `leave_out`, which is not counted.
    """
    without = real_path(leave_out) if leave_out is not None else None
    if without is not None and real_path(folder).is_relative_to(without):
        without = None  # an output folder around the input leaves nothing out
    found, others = [], Counter[str]()
    for path in folder.rglob("*"):
        if without is not None and real_path(path).is_relative_to(without):
            continue
        if path.is_dir() and not path.is_symlink():
            continue
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            others["hidden"] += path.name != LIST
        elif not path.is_file():
            others["links to folders or to nothing"] += 1
        elif path.name.endswith(COMPARISON):
            others["before/after pictures"] += 1
        elif path.suffix.lower() in FORMATS:
            found.append(path)
        else:
            others[ending(path)] += 1
    return sorted(found), +others


def shown(left_out: Mapping[str, int]) -> str:
    """Say in words what was left out: "3 .heic, 1 hidden"."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))


def ending(path: Path) -> str:
    """Return the kind of a file by its suffix, as it is counted."""
    return path.suffix.lower() or "without an ending"
