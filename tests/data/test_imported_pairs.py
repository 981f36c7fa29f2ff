"""Imported pairs brought to the prepared folder: cropped in the middle, thinned out evenly, training left alone."""

import numpy as np
import pytest

from unblur.data.images import read_rgb, write_png
from unblur.data.imported import import_dataset
from unblur.data.imported_pairs import bring_pairs
from unblur.data.layouts.known import LAYOUTS
from unblur.data.manifest import read_manifest
from unblur.errors import UnblurError


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


def test_earlier_pairs_go(gopro, tmp_path):
    write_png(tmp_path / "val" / "blur" / "old.png", np.zeros((8, 8, 3), np.uint8))
    bring_pairs(gopro, tmp_path, max_side={}, max_pairs={})
    assert not (tmp_path / "val" / "blur" / "old.png").exists()


def test_a_pair_of_two_sizes_leaves_no_manifest(gopro, tmp_path):
    row = next(row for row in gopro.rows if row.split == "test")
    write_png(gopro.root / row.blur, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UnblurError, match=r"8 x 8 and 32 x 24 pixels; .*data\.exclude"):
        bring_pairs(gopro, tmp_path, max_side={}, max_pairs={})
    assert not (tmp_path / "manifest.csv").exists()
