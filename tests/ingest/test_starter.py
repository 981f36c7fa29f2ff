"""The starter dataset: complete and right, or one line a failure and nothing half-written."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image

from unblur.data.manifest import read_sources
from unblur.errors import UnblurError
from unblur.ingest.starter import StarterFile, build_starter, outstanding, read_list, sources_json


def png(make_photo, seed):
    stream = io.BytesIO()
    Image.fromarray(make_photo(64, 64, seed)).save(stream, "PNG")
    return stream.getvalue()


def entry(file, content, name, split="train", scene=None):
    return StarterFile(
        file=file,
        requirement=f"{name}==1.0",
        member=f"{name}/{file}",
        licence="CC0",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        scene=scene or file,
        split=split,
    )


@pytest.fixture
def dataset(make_wheel, make_photo):
    """Two wheels of two files each, and the list of them."""
    files = []
    for name in ("first", "second"):
        contents = {f"photos/{name}{index}.png": png(make_photo, index) for index in (0, 1)}
        make_wheel(name, "1.0", {f"{name}/{file}": content for file, content in contents.items()})
        files += [entry(file, content, name) for file, content in contents.items()]
    return files


@pytest.fixture
def cache(tmp_path, dataset):
    """A cache that holds both wheels already: pip, which takes a second a wheel, is not what these tests are about."""
    for wheel in (tmp_path / "wheels").glob("*.whl"):
        folder = tmp_path / "cache" / f"{wheel.name.split('-')[0]}==1.0"
        folder.mkdir(parents=True)
        shutil.copy(wheel, folder)
    return tmp_path / "cache"


def names(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_the_packaged_list_is_sound():
    files = read_list()
    assert len(files) == 48
    assert len({item.file for item in files}) == 48
    assert {item.split for item in files} == {"train", "val", "test", None}
    assert all((item.split is None) == item.file.startswith("videos/") for item in files)
    splits_of = {}
    for item in files:
        splits_of.setdefault(item.scene, set()).add(item.split)
    assert all(len(splits - {None}) <= 1 for splits in splits_of.values())  # a video has none
    assert [item.file for item in files if item.scene == "motorcycle"] == [
        "photos/skimage_motorcycle_left.png",
        "photos/skimage_motorcycle_right.png",
    ]


def test_everything_is_fetched_and_listed_and_the_cache_goes(tmp_path, dataset):
    root = tmp_path / "data"
    assert build_starter(dataset, root, tmp_path / "cache") == []
    assert names(root) == ["SOURCES.json", *(item.file for item in dataset)]
    assert outstanding(dataset, root) == []
    assert [source.sha256 for source in read_sources(root)] == [item.sha256 for item in dataset]
    assert not (tmp_path / "cache").exists()


def test_the_same_list_gives_the_same_bytes_and_videos_have_no_split():
    files = read_list()
    content = sources_json(files)
    assert content == sources_json(read_list())
    listed = json.loads(content)
    assert [item["file"] for item in listed] == [item.file for item in files]
    assert [set(item) for item in listed if item["file"].startswith("videos/")] == [
        {"file", "scene", "licence", "sha256", "requirement", "member"}
    ] * 4


def test_only_what_is_missing_or_wrong_is_fetched_again(tmp_path, dataset, cache, monkeypatch):
    root = tmp_path / "data"
    build_starter(dataset, root, cache)
    kept = {name: (root / name).stat().st_mtime_ns for name in names(root)}
    (root / dataset[2].file).unlink()
    content = bytearray((root / dataset[3].file).read_bytes())
    content[-20] ^= 1  # the same size, another hash
    (root / dataset[3].file).write_bytes(content)
    fetched = []
    assert build_starter(dataset, root, tmp_path / "cache", lambda wheels: fetched.extend(wheels) or wheels) == []
    assert fetched == ["second==1.0"]
    assert outstanding(dataset, root) == []
    assert all((root / item.file).stat().st_mtime_ns == kept[item.file] for item in dataset[:2])
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))  # complete: pip is not asked
    assert build_starter(dataset, root, tmp_path / "cache") == []


def test_a_wrong_hash_is_told_and_nothing_of_it_written(tmp_path, dataset, cache):
    root = tmp_path / "data"
    files = [replace(dataset[0], sha256="0" * 64), *dataset[1:]]
    failures = build_starter(files, root, cache)
    assert len(failures) == 1
    assert dataset[0].file in failures[0]
    assert f"SHA-256 {dataset[0].sha256}, expected {'0' * 64}" in failures[0]
    assert names(root) == [item.file for item in dataset[1:]]  # the others went on; no list before all is there
    assert not (cache / "first==1.0").exists()
    assert (cache / "second==1.0").exists()
    assert build_starter(dataset, root, cache) == []  # with a fresh wheel
    assert outstanding(dataset, root) == []


def test_a_wheel_that_cannot_be_had_does_not_stop_the_others(tmp_path, dataset):
    root = tmp_path / "data"
    (tmp_path / "wheels" / "first-1.0-py3-none-any.whl").rename(tmp_path / "away.whl")
    failures = build_starter(dataset, root, tmp_path / "cache")
    assert len(failures) == 1
    assert failures[0].startswith("first==1.0: pip could not download it")
    assert names(root) == [item.file for item in dataset[2:]]
    (tmp_path / "away.whl").rename(tmp_path / "wheels" / "first-1.0-py3-none-any.whl")
    assert build_starter(dataset, root, tmp_path / "cache") == []


def test_a_build_that_is_killed_goes_on_where_it_stopped(tmp_path, dataset):
    """SIGKILL between the first wheel and the second, and a half-written file beside."""
    root, cache = tmp_path / "data", tmp_path / "cache"
    (tmp_path / "list.json").write_text(json.dumps([vars(item) for item in dataset]))
    program = (
        "import sys, time; from pathlib import Path; from unblur.ingest.starter import *\n"
        "def track(wheels):\n"
        "    for index, wheel in enumerate(wheels):\n"
        "        if index: print('half', flush=True); time.sleep(60)\n"
        "        yield wheel\n"
        "build_starter(read_list(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), track)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "list.json"), str(root), str(cache)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"half\n"
    process.kill()
    process.wait()
    process.stdout.close()
    leftover = root / "photos" / ".second0.png.0123abcd.part"
    leftover.write_bytes(b"half a photo")
    assert names(root) == [f"photos/{leftover.name}", *(item.file for item in dataset[:2])]
    assert (cache / "first==1.0").is_dir()

    (tmp_path / "wheels" / "first-1.0-py3-none-any.whl").unlink()  # not needed any more
    (root / dataset[0].file).unlink()  # the cached wheel still has it
    assert build_starter(dataset, root, cache) == []
    assert names(root) == ["SOURCES.json", *(item.file for item in dataset)]
    assert outstanding(dataset, root) == []


def test_somebody_s_own_photos_are_not_mixed_in(tmp_path, dataset):
    root = tmp_path / "data"
    (root / "photos").mkdir(parents=True)
    (root / "photos" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(UnblurError, match=r"1 files that are not on the starter list \(photos/mine\.jpg\)"):
        build_starter(dataset, root, tmp_path / "cache")
    assert names(root) == ["photos/mine.jpg"]


def test_an_edited_list_is_not_overwritten_but_a_damaged_one_is(tmp_path, dataset, cache):
    root = tmp_path / "data"
    build_starter(dataset, root, cache)
    right = (root / "SOURCES.json").read_bytes()
    edited = right.replace(b'"train"', b'"test"')
    (root / "SOURCES.json").write_bytes(edited)
    with pytest.raises(UnblurError, match="delete it to have it written anew"):
        build_starter(dataset, root, tmp_path / "cache")
    assert (root / "SOURCES.json").read_bytes() == edited
    (root / "SOURCES.json").write_bytes(right[:50])
    assert build_starter(dataset, root, tmp_path / "cache") == []
    assert (root / "SOURCES.json").read_bytes() == right


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"sha256": 123}, "64 hexadecimal digits"),
        ({"file": "SOURCES.json"}, "reserved name"),
        ({"split": "training"}, "split 'training' is unknown; expected one of train, val, test"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_list_that_is_wrong_is_refused(tmp_path, change, message):
    good = {"file": "a.png", "requirement": "a==1", "member": "a", "licence": "CC0", "bytes": 1, "sha256": "0" * 64}
    path = tmp_path / "list.json"
    path.write_text(json.dumps([good]))
    assert read_list(path)[0].scene == "a"
    path.write_text(json.dumps([{**good, **change}]))
    with pytest.raises(UnblurError, match=message):
        read_list(path)


def test_a_list_cannot_write_outside_the_root(tmp_path, dataset, cache):
    escape = [replace(dataset[0], file="../escaped.png")]
    assert "leads out" in build_starter(escape, tmp_path / "data", cache)[0]
    assert not (tmp_path / "escaped.png").exists()
