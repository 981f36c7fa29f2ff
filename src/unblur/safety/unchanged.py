"""Whether a record is what its stage wrote: a digit that a hand or a disk has changed must reach no report, no gate.

Of a folder of our own the marker holds the SHA-256 of each record (`owned_folder`). A record that lies among the files
of others is sealed: it holds the SHA-256 of all else in it. What has neither is of an older version, and is read.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file
from unblur.safety.owned import MARKER, read_marker

SEAL, ITSELF = "sealed", "this record"


def require_unchanged(path: Path, content: bytes) -> None:
    """Do nothing if the folder of ours that a record lies in, at any depth, names these bytes or none.

    Raises:
        UnblurError: it names others.
    """
    for folder in path.absolute().parents:
        if (folder / MARKER).is_file():
            marker = read_marker(folder)
            expected = marker and marker.records.get(path.absolute().relative_to(folder).as_posix())
            if marker and expected and hashlib.sha256(content).hexdigest() != expected:
                raise _changed(path, marker.command)
            return


def require_records(folder: Path) -> None:
    """Do nothing if all records of a folder of ours that are there are what was written.

    Raises:
        UnblurError: one is another.
    """
    marker = read_marker(folder)
    for name, expected in marker.records.items() if marker else ():
        path = folder / name
        if marker and path.is_file() and sha256_file(path) != expected:
            raise _changed(path, marker.command)


def sealed(content: Mapping[str, Any], beside: Iterable[Path] = ()) -> dict[str, Any]:
    """Return a record's plain values with their SHA-256, and those of files beside it that belong to it."""
    seal = {file.name: sha256_file(file) for file in beside}
    return {**content, SEAL: {ITSELF: _digest(content, seal), **seal}}


def require_seal(path: Path, content: object, command: str) -> None:
    """Do nothing if a record has no seal, or the one that `sealed` gave it.

    Args:
        path: of the record.
        content: of it.
        command: that writes it.

    Raises:
        UnblurError: something in it is another.
    """
    if isinstance(content, dict) and isinstance(seal := content.get(SEAL), dict):
        rest = {key: value for key, value in content.items() if key != SEAL}
        others = {name: sha256 for name, sha256 in seal.items() if name != ITSELF}
        if seal.get(ITSELF) != _digest(rest, others):
            raise _changed(path, command)


def require_beside(path: Path, record: Path, command: str) -> None:
    """Do nothing if the sealed `record` names the file `path` beside it as it is, or says nothing of it.

    Raises:
        UnblurError: it names another.
    """
    try:
        expected = json.loads(record.read_text(encoding="utf-8"))[SEAL][path.name]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if sha256_file(path) != expected:
        raise _changed(path, command)


def _digest(content: Mapping[str, Any], seal: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps([content, seal]))  # as it will be read
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _changed(path: Path, command: str) -> UnblurError:
    return UnblurError(f"{path}: was changed since `unblur {command}` wrote it; run that again, or `dvc repro`")
