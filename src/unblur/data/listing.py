"""SOURCES.json: which files a dataset has, where they come from, and which split and scene each belongs to."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from unblur.errors import UnblurError

SOURCES = "SOURCES.json"


@dataclass(frozen=True)
class Entry:
    """One listed file, relative to the data root; a file without a split (a video) is not trained or tested on.

    `author` and `address` (a page of the original) are empty where the list does not tell them.
    """

    file: str
    sha256: str
    licence: str
    scene: str
    split: str | None
    author: str = ""
    address: str = ""


def read_entries(path: Path) -> list[Entry]:
    """Return the entries of a SOURCES.json; a file without a scene is a scene of its own.

    Raises:
        UnblurError: not JSON, not a list of objects, or an object without file, sha256 and licence.
    """
    try:
        objects = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: not a JSON file ({error}); restore it with `dvc checkout` or `unblur data starter`"
        raise UnblurError(msg) from error
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        msg = f"{path}: expected a list of objects with file, sha256, licence, scene and split"
        raise UnblurError(msg)
    return [_entry(path, item) for item in objects]


def _entry(path: Path, item: dict[str, Any]) -> Entry:
    missing = [key for key in ("file", "sha256", "licence") if not item.get(key)]
    if missing:
        msg = f"{path}: the entry {item.get('file', item)!r} lacks {', '.join(missing)}"
        raise UnblurError(msg)
    return Entry(
        file=str(item["file"]),
        sha256=str(item["sha256"]),
        licence=str(item["licence"]),
        scene=str(item.get("scene") or PurePosixPath(str(item["file"])).stem),
        split=None if item.get("split") is None else str(item["split"]),
        author=str(item.get("author") or ""),
        address=str(item.get("address") or ""),
    )
