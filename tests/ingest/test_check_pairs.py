"""Each fault planted into an imported dataset is found, named and called an error; a sound one has no findings."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from unblur.config.schema import CheckConfig
from unblur.data.images import read_rgb, write_png
from unblur.images.exif import upright
from unblur.ingest.check_pairs import check_imported
from unblur.ingest.imported import Imported, import_dataset
from unblur.ingest.layouts.known import LAYOUTS


@pytest.fixture
def sound(tmp_path, make_photo):
    """GoPro as it should be: in each of four sequences the camera pans over a scene, blurred along its way."""
    root = tmp_path / "gopro"
    for number, (split, sequence) in enumerate([("train", "A"), ("train", "B"), ("train", "C"), ("test", "D")]):
        scene = make_photo(130, 400, seed=number)
        for frame in range(8):
            at = 10 + 12 * frame
            sharp = scene[:, at : at + 160]
            blur = cv2.blur(scene, (9, 1))[:, at : at + 160]
            for side, image in (("sharp", sharp), ("blur", blur)):
                write_png(root / split / sequence / side / f"{frame:06d}.png", np.ascontiguousarray(image))
    return root


def problems(root, **limits):
    report = check(root, **limits)
    return {(item.severity, item.problem, item.file) for item in report.findings}


def check(root, layout="gopro", **limits):
    return check_imported(import_dataset(LAYOUTS[layout], root), CheckConfig(**limits), 64)


def edit(path, change):
    write_png(path, np.ascontiguousarray(change(read_rgb(path)), np.uint8))


def exchange(one, two):
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def test_a_sound_dataset_has_no_findings(sound):
    report = check(sound)
    assert report.findings == []
    assert report.pictures == 64
    assert report.splits == {"test": 8, "train": 16, "val": 8}


def test_a_near_duplicate_in_another_split(sound):
    copy = cv2.GaussianBlur(read_rgb(sound / "train/A/sharp/000003.png"), (0, 0), 0.7)
    write_png(sound / "test/D/sharp/000003.png", copy)
    report = check(sound, max_shift=1e9, max_sharpness=1e9, frame_order=1e-9)
    assert {item.problem for item in report.findings} == {"near-duplicate in another split"}
    # Which of the two comes first is decided by the splits' order; both are named.
    named = {name for item in report.findings for name in (item.file, item.other)}
    assert {"train/A/sharp/000003.png", "test/D/sharp/000003.png"} <= named


def test_a_shifted_truth_is_told_in_pixels(sound):
    edit(sound / "train/A/sharp/000002.png", lambda image: np.roll(image, (3, 4), axis=(0, 1)))
    finding = next(item for item in check(sound).findings if item.problem == "truth is shifted")
    assert (finding.severity, finding.file) == ("error", "train/A/blur/000002.png")
    assert finding.other == "train/A/sharp/000002.png"
    told = re.match(r"by ([\d.]+) pixels \(\+[\d.]+ right, \+[\d.]+ down\)", finding.detail)
    assert float(told[1]) == pytest.approx(5, abs=1.1)  # beside a blur of nine pixels


def test_sides_that_were_exchanged(sound):
    for frame in range(8):
        exchange(*(sound / f"train/B/{side}/{frame:06d}.png" for side in ("blur", "sharp")))
    found = problems(sound)
    assert {(severity, problem) for severity, problem, _ in found} == {("error", "sharper than its truth")}
    assert {file.rpartition("/")[0] for _, _, file in found} == {"train/B/blur"}
    assert len(found) >= 4  # a frame with little detail may pass; its sequence does not


def test_a_constant_and_a_clipped_frame(sound):
    edit(sound / "test/D/sharp/000007.png", lambda image: np.full_like(image, 90))
    assert ("error", "constant", "test/D/sharp/000007.png") in problems(sound)
    edit(sound / "test/D/sharp/000000.png", lambda image: np.repeat(np.where(image[..., :1] > 110, 255, 0), 3, axis=2))
    assert ("warning", "clipped", "test/D/sharp/000000.png") in problems(sound)


def test_a_blurred_frame_that_is_constant(sound):
    edit(sound / "test/D/blur/000007.png", lambda image: np.full_like(image, 90))
    assert problems(sound) == {("error", "constant", "test/D/blur/000007.png")}


def test_frames_in_the_wrong_order(sound):
    for side in ("blur", "sharp"):
        exchange(*(sound / f"train/C/{side}/{frame:06d}.png" for frame in (3, 4)))
    assert problems(sound) == {("error", "wrong frame order", "train/C/sharp/000003.png")}


def test_mixed_sizes_in_a_sequence_and_in_a_pair(sound):
    edit(sound / "train/A/sharp/000005.png", lambda image: image[:-2])
    edit(sound / "train/A/blur/000005.png", lambda image: image[:-2])
    assert problems(sound) == {("error", "mixed sizes", "train/A/sharp/000005.png")}
    edit(sound / "train/B/blur/000005.png", lambda image: image[:-2])
    assert ("error", "mismatched pair", "train/B/blur/000005.png") in problems(sound)


def test_an_unreadable_file_a_small_one_and_a_leaked_scene(sound):
    (sound / "train/A/blur/000000.png").write_bytes(b"junk")
    dataset = import_dataset(LAYOUTS["gopro"], sound)
    report = check_imported(dataset, CheckConfig(), 131)
    assert ("error", "unreadable") in {(item.severity, item.problem) for item in report.findings}
    assert sum(item.problem == "too small" for item in report.findings) == 31
    rows = [replace(row, scene="D") if row.scene == "A" else row for row in dataset.rows]
    leaked = check_imported(Imported("gopro", "video", sound, rows), CheckConfig(frame_order=1e-9), 64)
    assert ("scene in two splits", "D") in {(item.problem, item.file) for item in leaked.findings}


def test_a_file_that_changed_since_the_import(sound):
    dataset = import_dataset(LAYOUTS["gopro"], sound)
    path = sound / "train/A/sharp/000001.png"
    path.write_bytes(path.read_bytes() + b"end")
    report = check_imported(dataset, CheckConfig(), 64)
    assert [(item.problem, item.file) for item in report.findings] == [
        ("changed since the import", "train/A/sharp/000001.png")
    ]


def test_photographs_are_checked_and_videos_counted(sound, make_fake, make_photo):
    photos = sound / "photos"
    write_png(photos / "train" / "a.png", make_photo(seed=21))
    write_png(photos / "test" / "b.png", cv2.GaussianBlur(make_photo(seed=21), (0, 0), 1))
    assert {item.problem for item in check(photos, "photos").findings} == {"near-duplicate in another split"}
    report = check(make_fake("videos")[0], "videos")
    assert (report.pictures, report.others, report.findings) == (0, 3, [])


def test_frames_that_are_missing(sound):
    for side in ("blur", "sharp"):
        (sound / f"train/C/{side}/000004.png").unlink()
    assert problems(sound) == {("warning", "missing frames", "train/C/sharp/000005.png")}


@pytest.mark.parametrize("turn", [2, 3, 6])
def test_a_turned_side_is_told_and_a_tag_is_applied(tmp_path, make_photo, turn):
    for seed in range(2):
        sharp = make_photo(90, 130, seed)
        blur = cv2.GaussianBlur(sharp, (0, 0), 2)
        write_png(tmp_path / f"sharp/{seed}.png", sharp)
        inverse = {6: 8}.get(turn, turn)
        exif = Image.Exif()
        if seed:  # stored turned, and said so
            exif[0x0112] = turn
        stored = np.ascontiguousarray(upright(blur, inverse))
        (tmp_path / "blur").mkdir(exist_ok=True)
        Image.fromarray(stored).save(tmp_path / f"blur/{seed}.jpg", exif=exif, quality=95)
    found = [(item.severity, item.problem, item.file) for item in check(tmp_path, "pairs").findings]
    assert ("error", "turned pair", "blur/0.jpg") in found
    assert ("warning", "orientation by EXIF", "blur/1.jpg") in found
    assert ("error", "turned pair", "blur/1.jpg") not in found
