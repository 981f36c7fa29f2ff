"""A blurred picture that lies otherwise than its truth is found wherever pairs are read."""

import cv2
import numpy as np
import pytest

from unblur.config.schema import CheckConfig
from unblur.data.augment import PairedAugment
from unblur.data.images import write_png
from unblur.data.paired_crops import PairedCrops
from unblur.errors import UnblurError
from unblur.images.exif import upright
from unblur.ingest.check import check_data
from unblur.ingest.check_pairs import check_imported
from unblur.ingest.imported import import_dataset
from unblur.ingest.imported_pairs import bring_pairs, bring_sequences
from unblur.ingest.layouts.known import LAYOUTS
from unblur.ingest.pack import pack

MIDDLE = PairedAugment(crop=False, flip=False, rotate=False)


def back(image, turn):
    """Return how a picture lies that EXIF orientation `turn` would show upright."""
    return np.ascontiguousarray(upright(image, {6: 8, 8: 6}.get(turn, turn)))


def write_pairs(root, make_photo, turn, frames=1, turned=0):
    """Write one scene a split, of `frames` pairs; the blurred side of number `turned` lies as `turn` says."""
    for seed, split in enumerate(("train", "val", "test")):
        sharp = make_photo(96, 96, seed=seed)
        for number in range(frames):
            blur = cv2.GaussianBlur(sharp, (0, 0), 1.5 + number / 10)
            if number == turned:
                blur = back(blur, turn)
            write_png(root / split / "blur" / f"s{split}/{number:03d}.png", blur)
            write_png(root / split / "sharp" / f"s{split}/{number:03d}.png", sharp)
    return import_dataset(LAYOUTS["pairs"], root)


def of_split(dataset, split):
    return [row for row in dataset.rows if row.split == split]


@pytest.mark.parametrize("turn", [2, 3, 4, 5, 6, 7, 8])
def test_pairs(turn, tmp_path, make_photo):
    dataset = write_pairs(tmp_path / "pairs", make_photo, turn)
    wrong = f"orientation {turn} would show it"
    for report in (check_imported(dataset, CheckConfig(), 1), check_data(dataset.root, 1)):
        turned = [finding for finding in report.findings if finding.problem == "turned pair"]
        assert len(turned) == 3
        assert all(wrong in finding.detail for finding in turned)
    with pytest.raises(UnblurError, match=wrong):
        bring_pairs(dataset, tmp_path / "out", max_side={}, max_pairs={})
    with pytest.raises(UnblurError, match=wrong):
        PairedCrops(of_split(dataset, "train"), dataset.root, augment=MIDDLE, patch_size=32, length=1, seed=0)[0]
    with pytest.raises(UnblurError, match=wrong):
        pack(dataset.root / "train", tmp_path / "shards", tile=64)


@pytest.mark.parametrize("task", ["video", "burst"])
@pytest.mark.parametrize("turn", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("place", [0, 2])
def test_any_frame_of_a_sequence(turn, task, place, tmp_path, make_photo):
    dataset = write_pairs(tmp_path / "pairs", make_photo, turn, frames=3, turned=place)
    wrong = rf"{place:03d}\.png: fits its truth as EXIF orientation {turn} would show it"
    with pytest.raises(UnblurError, match=wrong):
        bring_sequences(dataset, tmp_path / "out", task=task, frames=3, max_side={}, max_pairs={})
    crops = PairedCrops(
        of_split(dataset, "train"),
        dataset.root,
        augment=MIDDLE,
        patch_size=32,
        length=1,
        seed=0,
        frames=3,
        burst=task == "burst",
    )
    with pytest.raises(UnblurError, match=wrong):
        crops[0]
    turned = [each for each in check_imported(dataset, CheckConfig(), 1).findings if each.problem == "turned pair"]
    assert {each.file.rpartition("/")[2] for each in turned} == {f"{place:03d}.png"}


def test_what_lies_as_its_truth_passes(tmp_path, make_photo):
    dataset = write_pairs(tmp_path / "pairs", make_photo, 1, frames=3)
    assert len(bring_sequences(dataset, tmp_path / "out", task="video", frames=3, max_side={}, max_pairs={})) == 2
    assert not [each for each in check_imported(dataset, CheckConfig(), 1).findings if each.problem == "turned pair"]
