"""What changed between two versions of data/ that DVC recorded: added, removed, changed and renamed files, by split.

DVC keeps a version as a list of relative paths and MD5s, an object of its cache like every file; so an old version can
be looked at without checking it out.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unblur.data.listing import SOURCES, read_entries
from unblur.errors import UnblurError
from unblur.ingest.versioning import cache_path

NO_SPLIT = "none"


@dataclass(frozen=True)
class Version:
    """One version of a folder: its MD5, relative path -> MD5 of every file, and path -> split where one is listed."""

    md5: str
    files: dict[str, str]
    split_of: dict[str, str]


@dataclass(frozen=True)
class Change:
    """A file that differs: "added", "removed", "changed", "renamed" or "moved" to another split.

    `split` is that of the later version ("removed": of the earlier); `detail` is the former name or split.
    """

    what: str
    file: str
    split: str
    detail: str = ""


def read_version(md5: str, root: Path) -> Version:
    """Return the version that DVC's cache of the project at `root` holds under `md5`.

    Raises:
        UnblurError: the cache does not hold it, or it is no folder's.
    """
    path = cache_path(md5, root)
    if not path.is_file():
        msg = f"the version {md5} of the data is not in DVC's cache: run `dvc fetch --all-commits`, which brings it"
        raise UnblurError(msg)
    try:
        files = {str(item["relpath"]): str(item["md5"]) for item in json.loads(path.read_text(encoding="utf-8"))}
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}: expected DVC's list of a folder; run `dvc fetch --all-commits` to mend the cache"
        raise UnblurError(msg) from error
    listing = cache_path(files[SOURCES], root) if SOURCES in files else None
    entries = read_entries(listing) if listing is not None and listing.is_file() else []
    return Version(md5, files, {entry.file: entry.split for entry in entries if entry.split is not None})


def compare(before: Version, after: Version) -> list[Change]:
    """Return what differs, in the order of the file names."""
    gone = {md5: name for name, md5 in before.files.items() if name not in after.files}
    changes, renamed = [], set()
    for name, md5 in after.files.items():
        split = after.split_of.get(name, NO_SPLIT)
        if name not in before.files:
            former = gone.get(md5)
            if former is None or former in renamed:
                changes.append(Change("added", name, split))
            else:
                renamed.add(former)
                changes.append(Change("renamed", name, split, former))
        elif before.files[name] != md5:
            changes.append(Change("changed", name, split))
        elif (earlier := before.split_of.get(name, NO_SPLIT)) != split:
            changes.append(Change("moved", name, split, earlier))
    for name in before.files:
        if name not in after.files and name not in renamed:
            changes.append(Change("removed", name, before.split_of.get(name, NO_SPLIT)))
    return sorted(changes, key=lambda change: change.file)


def count_by_split(before: Version, after: Version, changes: list[Change]) -> list[list[str]]:
    """Return a line for each split: split, files before, after, then added, removed, changed, renamed and moved."""
    kinds = ("added", "removed", "changed", "renamed", "moved")
    counts = Counter((change.split, change.what) for change in changes)
    totals = [Counter(version.split_of.get(name, NO_SPLIT) for name in version.files) for version in (before, after)]
    splits = [name for name in ("train", "val", "test", NO_SPLIT) if any(total[name] for total in totals)]
    return [
        [split, *(str(total[split]) for total in totals), *(str(counts[split, kind]) for kind in kinds)]
        for split in splits
    ]


def pictures_of(change: Change, before: Version, after: Version, root: Path) -> list[Path]:
    """Return the cached pictures of a change, the earlier one first."""
    earlier: Mapping[str, str] = before.files
    former = change.detail if change.what == "renamed" else change.file
    found = [earlier.get(former), after.files.get(change.file)]
    if change.what in ("renamed", "moved"):
        found = found[:1]
    return [cache_path(md5, root) for md5 in found if md5]
