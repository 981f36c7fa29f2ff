"""Output folders: what unblur did not make is never deleted or overwritten without `--overwrite`.

A folder is ours if a marker in it says which command wrote it, from which settings, and which files. New results are
written beside it and exchanged with it at the end, so that a failure leaves what was there.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unblur.errors import UnblurError
from unblur.safety.atomic import UNFINISHED, make_folder, rename_folder, replacing, sync_tree
from unblur.safety.hashing import sha256_file

MARKER = ".unblur.json"
REPORTS = "report"
"""Whose folder `paths.reports` is, although check-data and data diff write into it too."""
OVERWRITE = "UNBLUR_OVERWRITE"
"""Set in the environment by `--overwrite`, which processes of a distributed training inherit."""
RECORDS = (".json", ".csv")
"""What stages hand on. Pictures and weights are many bytes, and have their SHA-256 in a manifest or a listing."""
NOBODYS = (".DS_Store", "Thumbs.db", "desktop.ini")  # left by file managers


@dataclass(frozen=True)
class Marker:
    """What stands in a folder of ours: the command, the SHA-256 of its settings, what it wrote, the SHA-256 of records.

    It holds no time and no path of this machine: the same settings give the same bytes.
    """

    command: str
    settings: str
    files: tuple[str, ...] = ()
    records: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def owned_folder(
    folder: Path,
    command: str,
    settings: Mapping[str, Any],
    *,
    inputs: Sequence[Path] = (),
    keeps: bool = False,
    overwrite: bool = False,
) -> Iterator[Path]:
    """Give a new folder beside `folder`, which takes its place when the block ends and goes if the block raises.

    Args:
        folder: to be written; a link to a folder stays, and what it leads to is replaced.
        command: that writes it, such as "export".
        settings: that decide its content, as plain values.
        inputs: what is read; none of it may lie in `folder`, whatever else is said.
        keeps: what the same command made of other settings is not replaced either.
        overwrite: replace what is there, whoever made it.

    Raises:
        UnblurError: `folder` holds what is not to be replaced.
    """
    place = folder.resolve()
    _put_back(place)
    for kept in (Path.cwd(), Path.home(), *inputs):
        if kept.resolve().is_relative_to(place):
            msg = f"{folder}: holds {kept}, which would be replaced with it; give a folder of its own to write to"
            raise UnblurError(msg)
    if place.is_mount():
        msg = f"{folder}: is a disk of its own, which cannot be exchanged for another folder; give a folder in it"
        raise UnblurError(msg)
    check_owned(folder, command, settings if keeps else None, overwrite)
    unfinished = place.with_name(f".{secrets.token_hex(4)}{UNFINISHED}")
    make_folder(unfinished)
    try:
        yield unfinished
        files = _files(unfinished)
        records = {name: sha256_file(unfinished / name) for name in files if name.endswith(RECORDS)}
        _mark(unfinished, Marker(command, fingerprint(settings), tuple(files), records))
        sync_tree(unfinished)
        _exchange(unfinished, place, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def claim_folder(
    folder: Path, command: str, settings: Mapping[str, Any] | None = None, overwrite: bool = False
) -> None:
    """Mark a folder whose files are replaced one by one, because other commands write into it or work goes on in it.

    Args:
        folder: is made if it is missing.
        command: that writes it.
        settings: what was made of other settings is not replaced; None allows any.
        overwrite: take it over, whoever made it.

    Raises:
        UnblurError: it is neither empty nor ours.
    """
    check_owned(folder, command, settings, overwrite)
    _mark(folder, Marker(command, fingerprint(settings or {})))


def check_owned(folder: Path, command: str, settings: Mapping[str, Any] | None = None, overwrite: bool = False) -> None:
    """Refuse a folder that must not be replaced; to be asked before the work begins.

    Raises:
        UnblurError: it is a file, or neither empty nor ours; with `settings`, those in the marker are others.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"{folder}: is a file; name a folder to write to"
        raise UnblurError(msg)
    if overwrite or OVERWRITE in os.environ or not (strangers := _files(folder)):
        return
    marker = read_marker(folder)
    if marker is None:
        why = f"holds {_shown(strangers)} and no {MARKER} of `unblur {command}`"
    elif marker.command != command:
        why = f"was written by `unblur {marker.command}`"
    elif settings is not None and marker.settings != fingerprint(settings):
        why = f"was written by `unblur {command}` from something else, or with other options"
    elif marker.files and (strangers := sorted(set(strangers) - set(marker.files))):
        why = f"holds {_shown(strangers)} beside what `unblur {command}` wrote"
    else:
        return
    msg = f"{folder}: {why}; nothing was touched: give another folder, or --overwrite to have all of it replaced"
    raise UnblurError(msg)


def check_replaceable(file: Path, is_ours: Callable[[Path], bool], overwrite: bool = False) -> None:
    """Refuse a file that must not be replaced; to be asked before the work begins.

    Args:
        file: to be written.
        is_ours: tells by its content that a file is what will be written anew.
        overwrite: replace it, whoever made it.

    Raises:
        UnblurError: it is there and not ours.
    """
    if file.exists() and not overwrite and OVERWRITE not in os.environ and not is_ours(file):
        msg = f"{file}: is there already, and is not what would be written anew; give another name, or --overwrite"
        raise UnblurError(msg)


def read_marker(folder: Path) -> Marker | None:
    """Return the marker of a folder, None where there is none that can be read."""
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        records = {str(name): str(sha256) for name, sha256 in content.get("records", {}).items()}
        return Marker(str(content["command"]), str(content["settings"]), tuple(map(str, content["files"])), records)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def _mark(folder: Path, marker: Marker) -> None:
    with replacing(folder / MARKER) as unfinished:
        unfinished.write_text(json.dumps(asdict(marker), indent=1) + "\n", encoding="utf-8")


def _files(folder: Path) -> list[str]:
    """Return what lies below a folder, but for folders, the marker and what file managers and killed runs leave."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    return [name for name in names if name != MARKER and not any(map(_is_nobodys, name.split("/")))]


def _is_nobodys(part: str) -> bool:
    return part in NOBODYS or (part.startswith(".") and part.endswith(UNFINISHED))


def _shown(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more files" if len(names) > 1 else "")


def _former(place: Path) -> Path:
    """Where the earlier folder lies for a moment during the exchange."""
    return place.with_name(f".{hashlib.sha256(place.name.encode()).hexdigest()[:16]}{UNFINISHED}")


def _exchange(unfinished: Path, place: Path, folder: Path) -> None:
    former = _former(place)
    try:
        if place.exists():
            rename_folder(place, former)
        rename_folder(unfinished, place)
    except OSError as error:
        _put_back(place)
        msg = f"{folder}: cannot be replaced ({error.strerror}); give a folder that can be renamed, such as one in it"
        raise UnblurError(msg) from error
    shutil.rmtree(former, ignore_errors=True)


def _put_back(place: Path) -> None:
    """Finish or undo an exchange that was killed."""
    former = _former(place)
    if former.is_dir() and not place.exists():
        rename_folder(former, place)
    shutil.rmtree(former, ignore_errors=True)
