"""Imported pairs brought to the prepared folder: cropped in the middle, thinned out evenly, training left alone."""

import csv
import dataclasses

import numpy as np
import pytest

from unblur.config.schema import CheckConfig
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import read_manifest
from unblur.data.pictures import read_pictures
from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset, read_imported, write_imported
from unblur.ingest.imported_pairs import bring_pairs, bring_sequences
from unblur.ingest.layouts.known import LAYOUTS
from unblur.safety.hashing import sha256_file


@pytest.fixture
def gopro(make_fake):
    return import_dataset(LAYOUTS["gopro"], make_fake("gopro")[0])


def test_validation_and_test_are_brought_and_cropped_in_the_middle(gopro, tmp_path):
    rows = bring_pairs(gopro, tmp_path / "out", max_side={"val": 16}, max_pairs={"val": 2})
    found = read_manifest(tmp_path / "out")
    assert [row.pair for row in found] == [row.pair for row in rows]
    assert [row.split for row in rows] == ["val"] * 2 + ["test"] * 3
    assert not (tmp_path / "out" / "train").exists()
    originals = {row.pair: row for row in gopro.rows}
    for row in found:
        for side in ("blur", "sharp"):
            whole = read_rgb(gopro.root / getattr(originals[row.pair], side))
            expected = whole[4:20, 8:24] if row.split == "val" else whole
            np.testing.assert_array_equal(read_rgb(tmp_path / "out" / getattr(row, side)), expected)
    assert [row.parameters["frame"] for row in found[:2]] == [9, 11]  # of three, the first and the last


@pytest.mark.parametrize("column", ["pair", "split", "sharp"])
def test_a_name_that_leads_out_writes_nothing_there(gopro, tmp_path, column):
    write_imported(tmp_path / "in" / "gopro.csv", gopro)
    lines = list(csv.DictReader((tmp_path / "in" / "gopro.csv").open()))
    next(line for line in lines if line["split"] == "test")[column] = "../../../../escaped"
    with (tmp_path / "in" / "gopro.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(UnblurError, match=r"gopro\.csv, line \d+: .*escaped"):
        bring_pairs(read_imported(tmp_path / "in" / "gopro.csv"), tmp_path / "a/b/c/d", max_side={}, max_pairs={})
    assert not list(tmp_path.rglob("escaped*"))


def test_a_pair_of_two_sizes_leaves_no_manifest(gopro, tmp_path):
    row = next(row for row in gopro.rows if row.split == "test")
    write_png(gopro.root / row.blur, np.zeros((8, 8, 3), np.uint8))
    known = dataclasses.replace(row, blur_sha256=sha256_file(gopro.root / row.blur))
    found = dataclasses.replace(gopro, rows=[known if each is row else each for each in gopro.rows])
    with pytest.raises(UnblurError, match=r"8 x 8 and 32 x 24 pixels; .*data\.exclude"):
        bring_pairs(found, tmp_path, max_side={}, max_pairs={})
    assert not (tmp_path / "manifest.csv").exists()


@pytest.mark.parametrize("task", ["video", "burst"])
def test_sequences_are_neighbouring_frames_in_order(gopro, tmp_path, task):
    rows = bring_sequences(gopro, tmp_path, task=task, frames=2, max_side={"val": 16}, max_pairs={"test": 1})
    assert [row.split for row in rows] == ["val", "test"]  # of three frames, one pair and one left over
    originals = {(row.scene, row.parameters["frame"]): row for row in gopro.rows}
    for row in read_manifest(tmp_path):
        blur, sharp = read_pictures(tmp_path / row.blur), read_pictures(tmp_path / row.sharp)
        assert len(blur) == row.parameters["frames"] == 2
        assert sharp.ndim == (4 if task == "video" else 3)
        crop = row.parameters
        inside = (
            slice(crop["crop_top"], crop["crop_top"] + crop["crop_height"]),
            slice(crop["crop_left"], crop["crop_left"] + crop["crop_width"]),
        )
        for number, frame in enumerate(blur):
            original = originals[row.scene, row.parameters["frame"] + number]
            np.testing.assert_array_equal(frame, read_rgb(gopro.root / original.blur)[inside])
        first = originals[row.scene, row.parameters["frame"]]
        truth = sharp[0] if task == "video" else sharp
        np.testing.assert_array_equal(truth, read_rgb(gopro.root / first.sharp)[inside])


def test_longer_sequences_than_there_are_are_refused(gopro, tmp_path):
    with pytest.raises(UnblurError, match=r"no 9 neighbouring frames .* lower data\.frames"):
        bring_sequences(gopro, tmp_path, task="video", frames=9, max_side={}, max_pairs={})


def test_a_turned_pair_is_not_brought(tmp_path, make_photo):
    root = tmp_path / "pairs"
    for split in ("train", "val", "test"):
        photo = make_photo(80, 80, seed=len(split))
        write_png(root / split / "sharp" / f"{split}.png", photo)
        write_png(root / split / "blur" / f"{split}.png", np.ascontiguousarray(photo[::-1, ::-1]))
    dataset = import_dataset(LAYOUTS["pairs"], root)
    with pytest.raises(UnblurError, match=r"val/blur/val\.png: fits its truth as EXIF orientation 3 would show it"):
        bring_pairs(dataset, tmp_path / "out", max_side={}, max_pairs={})
    bring_pairs(dataset, tmp_path / "out", max_side={}, max_pairs={}, limits=CheckConfig(turn_gain=2.0))


def test_a_truth_that_changed_after_the_import_is_not_brought(gopro, tmp_path):
    row = next(row for row in gopro.rows if row.split == "val")
    write_png(gopro.root / row.sharp, 255 - read_rgb(gopro.root / row.sharp))
    for bring in (bring_pairs, lambda *given, **limits: bring_sequences(*given, task="video", frames=3, **limits)):
        with pytest.raises(UnblurError, match=f"{row.sharp}: is not what the manifest names.*`unblur data import`"):
            bring(gopro, tmp_path / "out", max_side={}, max_pairs={})
