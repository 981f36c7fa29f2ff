"""Every way in which a file can differ between two versions that DVC's cache holds."""

import hashlib
import json

import pytest

from unblur.errors import UnblurError
from unblur.ingest.version_diff import Change, compare, count_by_split, pictures_of, read_version
from unblur.ingest.versioning import cache_path


@pytest.fixture
def record(tmp_path):
    """`record({"photos/a.png": (b"content", "train")})` puts a version into a cache as DVC does; returns its MD5."""

    def keep(content, ending=""):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + ending
        path = cache_path(md5, tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return md5

    def make(files):
        listed = [
            {"file": name, "split": split, "licence": "CC0", "sha256": "0"}
            for name, (_, split) in files.items()
            if split
        ]
        contents = {name: content for name, (content, _) in files.items()}
        contents["SOURCES.json"] = json.dumps(listed).encode()
        entries = [{"md5": keep(content), "relpath": name} for name, content in sorted(contents.items())]
        return keep(json.dumps(entries).encode(), ".dir")

    return make


def test_added_removed_changed_renamed_and_moved(record, tmp_path):
    before = {name: (name.encode(), "train") for name in ("same", "edited", "gone", "old name", "other split")}
    after = {
        "same": (b"same", "train"),
        "edited": (b"new content", "train"),
        "new name": (b"old name", "train"),
        "other split": (b"other split", "test"),
        "new": (b"new", "val"),
        "clip.mp4": (b"clip", None),
    }
    first, second = (read_version(record(files), tmp_path) for files in (before, after))
    changes = compare(first, second)
    assert [change for change in changes if change.file != "SOURCES.json"] == [
        Change("added", "clip.mp4", "none"),
        Change("changed", "edited", "train"),
        Change("removed", "gone", "train"),
        Change("added", "new", "val"),
        Change("renamed", "new name", "train", "old name"),
        Change("moved", "other split", "test", "train"),
    ]
    counts = {line[0]: [int(cell) for cell in line[1:]] for line in count_by_split(first, second, changes)}
    # files before, after, then added, removed, changed, renamed, moved
    assert counts["train"] == [5, 3, 0, 1, 1, 1, 0]
    assert counts["val"] == [0, 1, 1, 0, 0, 0, 0]
    assert counts["test"] == [0, 1, 0, 0, 0, 0, 1]
    assert counts["none"] == [1, 2, 1, 0, 1, 0, 0]  # SOURCES.json has changed too
    shown = {
        change.file: [path.read_bytes() for path in pictures_of(change, first, second, tmp_path)] for change in changes
    }
    assert shown["edited"] == [b"edited", b"new content"]
    assert shown["gone"] == [b"gone"]
    assert shown["new name"] == [b"old name"]
    assert compare(first, first) == []


def test_a_version_that_is_not_there_or_broken_says_how_to_fetch_it(record, tmp_path):
    with pytest.raises(UnblurError, match=r"is not in DVC's cache: run `dvc fetch --all-commits`"):
        read_version("0" * 32 + ".dir", tmp_path)
    md5 = record({})
    cache_path(md5, tmp_path).write_text("{")
    with pytest.raises(UnblurError, match="expected DVC's list of a folder"):
        read_version(md5, tmp_path)
