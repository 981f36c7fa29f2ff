"""What DVC records of a folder, computed without starting DVC: its hash, and whether its cache holds it.

DVC 3 hashes a folder as the MD5 of a JSON list of each file's MD5 and relative path, followed by ".dir".
"""

import configparser
import hashlib
import json
import re
from pathlib import Path

from unblur.safety.atomic import UNFINISHED

IGNORED = (".DS_Store", "Thumbs.db", "desktop.ini")  # as in .dvcignore, with unfinished files


def files_below(folder: Path) -> list[str]:
    """Return the files below `folder` that DVC would track, as sorted relative POSIX paths; none if it is missing."""
    found = (path for path in folder.rglob("*") if path.is_file() and not _is_ignored(path.name))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def folder_md5(folder: Path) -> str:
    """Return the hash that `dvc add folder` would record, such as "0123...cdef.dir"."""
    entries = [{"md5": _file_md5(folder / name), "relpath": name} for name in files_below(folder)]
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def recorded_md5(dvc_file: Path) -> str | None:
    """Return the hash in a .dvc file, or None without such a file or hash."""
    if not dvc_file.is_file():
        return None
    return md5_in(dvc_file.read_text(encoding="utf-8"))


def md5_in(text: str) -> str | None:
    """Return the hash in a .dvc file's text, or None without one."""
    found = re.search(r"^[- ]*md5: *([0-9a-f]{32}(?:\.dir)?) *$", text, re.MULTILINE)
    return found.group(1) if found else None


def is_cached(md5: str, root: Path) -> bool:
    """Say whether the DVC cache of the project at `root` holds an object, so that `dvc push` can send it.

    DVC stores a folder's list after its files, so the list stands for all of them.
    """
    return cache_path(md5, root).is_file()


def cache_path(md5: str, root: Path) -> Path:
    """Return where the DVC cache of the project at `root` holds an object, whether it does or not."""
    settings_folder = root.resolve() / ".dvc"
    folder = settings_folder / "cache"
    for name in ("config", "config.local"):
        settings = configparser.ConfigParser(interpolation=None)
        try:
            settings.read(settings_folder / name, encoding="utf-8")
        except configparser.Error:
            continue
        folder = settings_folder / settings.get("cache", "dir", fallback=str(folder))
    return folder / "files" / "md5" / md5[:2] / md5[2:]


def _file_md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _is_ignored(name: str) -> bool:
    return name in IGNORED or (name.startswith(".") and name.endswith(UNFINISHED))
