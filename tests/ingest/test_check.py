"""Each fault that would poison training is found, named and called an error; a sound dataset passes."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from unblur.data.images import write_png
from unblur.errors import UnblurError
from unblur.images.exif import upright
from unblur.ingest.check import check_data, write_report


@pytest.fixture
def sound(tmp_path, make_photo):
    """Four photos of three splits and a video, all as SOURCES.json says."""
    root = tmp_path / "data"
    for index, split in enumerate(["train", "train", "val", "test"]):
        write_png(root / "photos" / f"{split}{index}.png", make_photo(seed=index))
    (root / "videos").mkdir()
    (root / "videos" / "clip.mp4").write_bytes(b"frames")
    relist(root)
    return root


def relist(root, **changes):
    """Write SOURCES.json for what is there; `changes` maps a file's stem to what differs in its entry."""
    entries = []
    for path in sorted(item for item in root.rglob("*") if item.is_file() and item.name != "SOURCES.json"):
        entry = {"file": path.relative_to(root).as_posix(), "licence": "CC0", "scene": path.stem}
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        if path.parent.name == "photos":
            entry["split"] = path.stem.rstrip("0123456789")
        entries.append({**entry, **changes.get(path.stem, {})})
    (root / "SOURCES.json").write_text(json.dumps(entries))


def found(root, **options):
    report = check_data(root, **{"min_side": 64, **options})
    return {(item.severity, item.problem, item.file) for item in report.findings}


def test_a_sound_dataset_has_no_findings(sound):
    report = check_data(sound, min_side=64)
    assert report.findings == []
    assert (report.pictures, report.others) == (4, 1)
    assert report.splits == {"test": 1, "train": 2, "val": 1}


def test_an_unreadable_picture(sound):
    path = sound / "photos" / "train0.png"
    path.write_bytes(path.read_bytes()[:500])
    relist(sound)
    report = check_data(sound, min_side=64)
    assert [(item.severity, item.problem, item.file) for item in report.findings] == [
        ("error", "unreadable", "photos/train0.png")
    ]
    assert "truncated" in report.findings[0].detail


def test_a_missing_file_a_changed_one_and_an_unknown_one(sound, make_photo):
    (sound / "photos" / "train0.png").unlink()
    write_png(sound / "photos" / "val2.png", make_photo(seed=77))
    (sound / "videos" / "clip.mp4").write_bytes(b"other")
    write_png(sound / "photos" / "mine.png", make_photo(seed=78))
    assert found(sound) == {
        ("error", "missing", "photos/train0.png"),
        ("error", "wrong hash", "photos/val2.png"),
        ("error", "wrong hash", "videos/clip.mp4"),
        ("warning", "unknown", "photos/mine.png"),
    }


def test_a_picture_that_is_too_small(sound, make_photo):
    write_png(sound / "photos" / "train5.png", make_photo(63, 200))
    relist(sound)
    assert found(sound) == {("error", "too small", "photos/train5.png")}
    assert found(sound, min_side=63) == set()


def test_grey_in_one_channel_and_in_three_and_16_bits_are_warnings(sound, make_photo):
    grey = make_photo(seed=9)[..., 0]
    Image.fromarray(grey).save(sound / "photos" / "train6.png")
    write_png(sound / "photos" / "train7.png", np.stack([255 - grey] * 3, -1))
    Image.fromarray(grey.astype(np.uint16) * 200).save(sound / "photos" / "train8.png")
    relist(sound)
    assert found(sound) == {
        ("warning", "grey", "photos/train6.png"),
        ("warning", "grey", "photos/train7.png"),
        ("warning", "grey", "photos/train8.png"),
        ("warning", "not 8-bit", "photos/train8.png"),
    }


def test_a_scene_in_two_splits(sound):
    relist(sound, train1={"scene": "street"}, test3={"scene": "street"}, clip={"scene": "street"})
    report = check_data(sound, min_side=64)
    assert [(item.severity, item.problem) for item in report.findings] == [("error", "scene in two splits")]
    assert "street is in test and train: photos/test3.png, photos/train1.png" in report.findings[0].detail


def test_the_same_pixels_in_two_splits_even_in_another_format(sound):
    Image.open(sound / "photos" / "train0.png").save(sound / "photos" / "test9.bmp")
    relist(sound)
    assert found(sound) == {("error", "same photo in two splits", "photos/test9.bmp")}


def test_a_duplicate_inside_a_split_is_a_warning(sound):
    Image.open(sound / "photos" / "train0.png").save(sound / "photos" / "train9.tif")
    relist(sound)
    assert found(sound) == {("warning", "duplicate", "photos/train0.png")}


def test_a_near_duplicate_in_two_splits_and_a_constant_picture(sound):
    Image.open(sound / "photos" / "train0.png").save(sound / "photos" / "test9.jpg", quality=60)
    write_png(sound / "photos" / "train7.png", np.full((80, 80, 3), (90, 20, 60), np.uint8))
    relist(sound)
    report = check_data(sound, min_side=64)
    assert {(item.severity, item.problem) for item in report.findings} == {
        ("error", "near-duplicate in another split"),
        ("error", "constant"),
    }
    found_pair = next(item for item in report.findings if item.other)
    assert {found_pair.file, found_pair.other} == {"photos/train0.png", "photos/test9.jpg"}


def test_manifests_of_imported_datasets_are_no_strangers(sound):
    (sound / "imported").mkdir()
    (sound / "imported" / "gopro.csv").write_text("pair\n")
    assert found(sound) == set()


def test_an_unknown_split_and_a_file_listed_twice(sound):
    relist(sound, train0={"split": "training"})
    entries = json.loads((sound / "SOURCES.json").read_text())
    twice = next(item for item in entries if item["file"] == "photos/val2.png")
    (sound / "SOURCES.json").write_text(json.dumps([*entries, {**twice, "split": "test"}]))
    assert found(sound) == {
        ("error", "unknown split", "photos/train0.png"),
        ("error", "listed twice", "photos/val2.png"),
    }


def test_a_list_that_is_missing_or_broken(sound):
    (sound / "SOURCES.json").write_text("[{")
    assert found(sound) == {("error", "unreadable", "SOURCES.json")}
    (sound / "SOURCES.json").unlink()
    assert found(sound) == {("error", "no list", "SOURCES.json")}


def test_pairs_of_another_size_or_without_a_partner(tmp_path, make_photo):
    root = tmp_path / "data"
    for seed, name in enumerate(["same/1.png", "same/2.png", "3.png"]):
        write_png(root / "test" / "sharp" / name, make_photo(seed=seed))
    Image.fromarray(make_photo(seed=5)).save(root / "test" / "sharp" / "4.png")
    (root / "test" / "blur" / "same").mkdir(parents=True)
    write_png(root / "test" / "blur" / "same" / "1.png", make_photo(seed=11))
    write_png(root / "test" / "blur" / "same" / "2.png", make_photo(100, 128, seed=12))
    Image.fromarray(make_photo(seed=5)).save(root / "test" / "blur" / "4.bmp")  # nothing moved: equal to its twin
    write_png(root / "test" / "blur" / "5.png", make_photo(seed=13))
    assert found(root) == {
        ("error", "mismatched pair", "test/blur/same/2.png"),
        ("error", "no partner", "test/sharp/3.png"),
        ("error", "no partner", "test/blur/5.png"),
    }


@pytest.mark.parametrize("turn", range(1, 9))
def test_pairs_that_lie_otherwise(tmp_path, make_photo, turn):
    sharp = make_photo(160, 128, seed=4)
    write_png(tmp_path / "data" / "train" / "sharp" / "1.png", sharp)
    blurred = upright(np.ascontiguousarray(cv2.blur(sharp, (9, 9))), turn)
    write_png(tmp_path / "data" / "train" / "blur" / "1.png", blurred)
    report = check_data(tmp_path / "data", min_side=64)
    if turn == 1:
        assert report.findings == []
    else:
        back = {6: 8, 8: 6}.get(turn, turn)  # what undoes it; the others undo themselves
        (finding,) = report.findings
        assert (finding.severity, finding.problem, finding.file) == ("error", "turned pair", "train/blur/1.png")
        assert finding.other == "train/sharp/1.png"
        assert f"EXIF orientation {back} would show it" in finding.detail


def test_an_excluded_file_is_not_checked(sound):
    (sound / "photos" / "train0.png").write_bytes(b"junk")
    assert found(sound, exclude=["photos/train0.png"]) == set()


@pytest.mark.parametrize("make", [False, True])
def test_a_missing_or_empty_folder_says_how_to_get_the_data(tmp_path, make):
    if make:
        (tmp_path / "data" / "photos").mkdir(parents=True)
    with pytest.raises(UnblurError, match=r"holds no data: build it with `unblur data starter`, or .*`dvc pull`"):
        check_data(tmp_path / "data", min_side=64)


def test_the_report_is_written_with_errors_first_and_the_same_bytes(sound, tmp_path):
    Image.fromarray(np.zeros((70, 70), np.uint8)).save(sound / "photos" / "a.png")
    (sound / "photos" / "train1.png").unlink()
    for name in ("one.json", "two.json"):
        write_report(check_data(sound, min_side=64), tmp_path / "reports" / name)
    content = json.loads((tmp_path / "reports" / "one.json").read_text())
    assert (content["errors"], content["warnings"], content["pictures"]) == (2, 2, 4)  # black: constant, grey
    assert [item["severity"] for item in content["findings"]] == ["error", "error", "warning", "warning"]
    assert (tmp_path / "reports" / "one.json").read_bytes() == (tmp_path / "reports" / "two.json").read_bytes()
