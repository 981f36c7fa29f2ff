"""What every layout keeps to: all entries, the right partner, splits as published, and faults named in one line."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from unblur.data.images import read_rgb
from unblur.errors import UnblurError
from unblur.ingest.layouts.known import LAYOUTS
from unblur.ingest.layouts.koehler import KOEHLER

PAIRED = sorted(set(LAYOUTS) - {"photos", "videos"})


def brightness(path):
    return float(np.median(read_rgb(path)[..., 2]))


@pytest.mark.contract
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_entry_is_found_in_its_split_and_no_scene_is_in_two(name, make_fake):
    root, counts = make_fake(name)
    entries = LAYOUTS[name].read(root)
    assert dict(Counter(entry.split for entry in entries)) == counts
    splits = defaultdict(set)
    for entry in entries:
        splits[entry.scene].add(entry.split)
        assert not entry.sharp.is_absolute()
        assert (root / entry.sharp).is_file()
    assert all(len(found) == 1 for found in splits.values())
    assert len({(entry.blur, entry.sharp) for entry in entries}) == len(entries)


@pytest.mark.contract
@pytest.mark.parametrize("name", PAIRED)
def test_a_blurred_picture_gets_its_own_truth(name, make_fake):
    root, _ = make_fake(name)
    tolerance = 0.5 if name in ("dvd", "pairs") else 0.0  # JPEG
    for entry in LAYOUTS[name].read(root):
        assert brightness(root / entry.sharp) - brightness(root / entry.blur) == pytest.approx(1, abs=tolerance)


@pytest.mark.contract
@pytest.mark.parametrize("name", sorted(name for name, layout in LAYOUTS.items() if layout.task == "video"))
def test_frames_of_a_sequence_come_in_order(name, make_fake):
    root, _ = make_fake(name)
    scenes = defaultdict(list)
    for entry in LAYOUTS[name].read(root):
        scenes[entry.scene].append((entry.frame, brightness(root / entry.sharp) if name != "videos" else 0))
    for frames in scenes.values():
        assert frames == sorted(frames)
        assert name == "videos" or len({frame for frame, _ in frames}) == 3


@pytest.mark.contract
@pytest.mark.parametrize("name", PAIRED)
def test_a_missing_partner_is_named(name, make_fake):
    root, _ = make_fake(name)
    lost = LAYOUTS[name].read(root)[1]
    if name == "koehler":
        for path in (root / lost.sharp).parent.iterdir():
            path.unlink()
    else:
        (root / lost.sharp).unlink()
    with pytest.raises(UnblurError, match=r"partner") as caught:
        LAYOUTS[name].read(root)
    assert "\n" not in str(caught.value)
    assert lost.sharp.stem.split("_")[0] in str(caught.value)


@pytest.mark.contract
@pytest.mark.parametrize("name", LAYOUTS)
def test_another_folder_is_refused_with_what_was_expected(name, tmp_path):
    (tmp_path / "unrelated").mkdir()
    with pytest.raises(UnblurError, match=f"not the layout {name}: expected .* found unrelated") as caught:
        LAYOUTS[name].read(tmp_path)
    assert LAYOUTS[name].expects in str(caught.value)
    with pytest.raises(UnblurError, match="no such folder"):
        LAYOUTS[name].read(tmp_path / "nowhere")


def test_gopro_and_its_gamma_share_the_truth(make_fake):
    root, _ = make_fake("gopro")
    plain, gamma = (LAYOUTS[name].read(root) for name in ("gopro", "gopro_gamma"))
    assert [entry.sharp for entry in plain] == [entry.sharp for entry in gamma]
    assert {entry.blur.parent.name for entry in gamma} == {"blur_gamma"}


def test_a_scene_in_two_splits_is_refused(make_fake):
    root, _ = make_fake("gopro")
    (root / "train" / "GOPR0372_07_00").rename(root / "test" / "GOPR0374_11_00")
    with pytest.raises(UnblurError, match="scene GOPR0374_11_00 lies in test and train"):
        LAYOUTS["gopro"].read(root)


def test_a_broken_line_of_a_list_is_named(make_fake):
    root, _ = make_fake("realblur_j")
    with (root / "RealBlur_J_test_list.txt").open("a") as stream:
        stream.write("one_path_only.png\n")
    with pytest.raises(UnblurError, match=r"RealBlur_J_test_list\.txt, line 4: expected TRUTH BLURRED"):
        LAYOUTS["realblur_j"].read(root)


def test_koehler_takes_the_truth_in_the_middle_by_number_not_by_name(make_fake):
    root, _ = make_fake("koehler")
    assert {entry.sharp.stem.rpartition("_")[2] for entry in KOEHLER.read(root)} == {"9"}


def test_koehler_leaves_out_truths_whose_names_are_others(make_fake):
    root, _ = make_fake("koehler")
    before = KOEHLER.read(root)
    for stray in ("GroundTruth1_1_11 (2).png", "GroundTruth_copy_of.png"):
        (root / "Image1/Kernel1" / stray).touch()
    assert KOEHLER.read(root) == before


def test_reds_and_dvd_are_also_read_from_the_folder_inside(make_fake):
    root, counts = make_fake("reds")
    for split in ("train", "val"):
        for side in ("blur", "sharp"):
            (root / split / f"{split}_{side}").rename(root / f"{split}_{side}")
    assert Counter(entry.split for entry in LAYOUTS["reds"].read(root)) == counts
    root, counts = make_fake("dvd")
    assert Counter(entry.split for entry in LAYOUTS["dvd"].read(root / "quantitative_datasets")) == counts


def test_pairs_without_splits_are_for_training(make_fake):
    root, _ = make_fake("pairs")
    entries = LAYOUTS["pairs"].read(root / "train")
    assert {entry.split for entry in entries} == {"train"}
    assert {entry.scene for entry in entries} == {"train/a train", "street train"}


def test_two_pictures_that_differ_in_their_endings_alone_are_named(make_fake):
    root, _ = make_fake("pairs")
    entry = LAYOUTS["pairs"].read(root)[0]
    twin = (root / entry.blur).with_suffix(".bmp")
    twin.write_bytes((root / entry.blur).read_bytes())
    with pytest.raises(UnblurError, match="nothing tells their partners; rename one") as caught:
        LAYOUTS["pairs"].read(root)
    assert twin.name in str(caught.value)
    assert entry.blur.name in str(caught.value)
