"""From clips to sequences: averaged, imported, and served as videos that no shot change and no split divides."""

from dataclasses import replace

import numpy as np
import pytest

from unblur.blur.frame_averaging import FrameAveraging
from unblur.data.augment import PairedAugment
from unblur.data.manifest import read_manifest, write_manifest
from unblur.data.paired_crops import PairedCrops
from unblur.data.pictures import read_pictures
from unblur.errors import UnblurError
from unblur.ingest.averaging import average_videos
from unblur.ingest.imported import import_dataset
from unblur.ingest.imported_pairs import bring_sequences
from unblur.ingest.layouts.known import LAYOUTS

SHOTS = {"a": (17, 11), "b": (20,), "c": (13, 14)}  # frames


@pytest.fixture
def clips(tmp_path, make_video, make_photo):
    """Clips out of shots, lossless: name -> their frames."""
    frames = {}
    for number, (name, lengths) in enumerate(SHOTS.items()):
        frames[name] = []
        for shot, length in enumerate(lengths):
            wide = make_photo(64, 96 + 2 * length, 7 * number + shot)
            frames[name] += [wide[:, 2 * index : 2 * index + 96] for index in range(length)]
        (tmp_path / "clips").mkdir(exist_ok=True)
        make_video(tmp_path / f"clips/{name}.mkv", frames[name])
    return frames


def shots_of(name):
    """Return the first frame of each shot, and the one after the last."""
    return np.cumsum([0, *SHOTS[name]])


@pytest.mark.parametrize("stride", [1, 3, 5, 8])  # some leave frames out, some overlap
def test_a_sequence_is_frames_in_a_row_of_one_shot_of_one_clip(tmp_path, clips, stride):
    average_videos(tmp_path / "clips", tmp_path / "out", FrameAveraging(3), stride=stride)
    dataset = import_dataset(LAYOUTS["averaged"], tmp_path / "out", hold_out=0)
    crops = PairedCrops(dataset.rows, dataset.root, augment=PairedAugment(), patch_size=32, length=1, seed=0, frames=2)
    expected = {
        (name, at)
        for name, lengths in SHOTS.items()
        for begin, length in zip(shots_of(name), lengths, strict=False)
        for at in range(begin + 1, begin + length - 1 - stride, stride)
    }
    found = set()
    for window in crops.windows:
        numbers = [row.parameters["frame"] for row in window]
        assert len({row.scene for row in window}) == 1
        assert np.diff(numbers).tolist() == [stride]
        found.add((window[0].scene.split("/")[0], numbers[0]))
    assert found == expected


def test_the_truth_of_each_frame_is_the_middle_of_its_exposure(tmp_path, clips):
    videos = tmp_path / "clips"
    average_videos(videos, tmp_path / "out", FrameAveraging(3), stride=3, splits={"b": "val", "c.mkv": "test"})
    dataset = import_dataset(LAYOUTS["averaged"], tmp_path / "out")
    rows = bring_sequences(dataset, tmp_path / "prepared", task="video", frames=3, max_side={}, max_pairs={})
    assert [(row.split, row.scene) for row in rows] == [("val", "b/shot0")] * 2 + [
        ("test", f"c/shot{n}") for n in (0, 1)
    ]
    extents = {row.scene: row.strength for row in rows}
    assert all(2 < extent < 6 for extent in extents.values())  # 2 pixels a frame, twice
    for row in rows:
        clip, first = clips[row.scene[0]], row.parameters["frame"]
        blur, sharp = (read_pictures(tmp_path / "prepared" / file) for file in (row.blur, row.sharp))
        for number in range(3):
            middle = first + 3 * number
            averaged, truth = FrameAveraging(3)(clip[middle - 1 : middle + 2])
            np.testing.assert_array_equal(sharp[number], clip[middle])
            np.testing.assert_array_equal(truth, clip[middle])
            np.testing.assert_array_equal(blur[number], averaged)


def test_a_clip_is_in_one_split_as_named_or_as_held_out(tmp_path, clips):
    average_videos(tmp_path / "clips", tmp_path / "out", FrameAveraging(3), stride=3)
    rows = import_dataset(LAYOUTS["averaged"], tmp_path / "out").rows
    splits = {name: {row.split for row in rows if row.scene.startswith(name)} for name in SHOTS}
    assert sorted(split for found in splits.values() for split in found) == ["test", "train", "val"]
    assert rows == import_dataset(LAYOUTS["averaged"], tmp_path / "out").rows
    assert len({row.scene for row in rows}) == 5
    named = [tmp_path / f"clips/{name}.mkv" for name in "cab"]
    average_videos(named, tmp_path / "named", FrameAveraging(3), stride=3, splits={"a": "val", "b.mkv": "test"})
    rows = import_dataset(LAYOUTS["averaged"], tmp_path / "named").rows
    assert {(row.scene[0], row.split) for row in rows} == {("a", "val"), ("b", "test"), ("c", "train")}


def test_a_manifest_that_lies_is_refused(tmp_path, clips):
    out = tmp_path / "out"
    average_videos(tmp_path / "clips", out, FrameAveraging(3), stride=3)
    rows = read_manifest(out)
    write_manifest(out, [replace(rows[0], parameters={"frames": 3}), *rows[1:]])
    with pytest.raises(UnblurError, match="pair a_000001 does not tell its shot and frames; run `unblur data average`"):
        LAYOUTS["averaged"].read(out)
    write_manifest(out, [replace(rows[0], split="test"), *rows[1:]])
    with pytest.raises(UnblurError, match="a lies in test and train"):
        LAYOUTS["averaged"].read(out)
    write_manifest(out, [replace(rows[0], blur="../../etc/passwd"), *rows[1:]])
    with pytest.raises(UnblurError, match="leads out of"):
        LAYOUTS["averaged"].read(out)
