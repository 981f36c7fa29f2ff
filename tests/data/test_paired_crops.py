"""Crops of pairs: both sides cut alike, items a function of (seed, i), windows of frames in order."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unblur.config.schema import CheckConfig
from unblur.data.augment import PairedAugment
from unblur.data.images import write_png
from unblur.data.paired_crops import PairedCrops
from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset
from unblur.ingest.layouts.known import LAYOUTS


@pytest.fixture
def gopro(make_fake):
    return import_dataset(LAYOUTS["gopro"], make_fake("gopro")[0], hold_out=0)


def crops(dataset, **options):
    settings = {"augment": PairedAugment(permute=True), "patch_size": 16, "length": 8, "seed": 3, **options}
    return PairedCrops(dataset.rows, dataset.root, **settings)


def test_both_sides_have_the_same_place_mirroring_and_channels(gopro):
    dataset = crops(gopro)
    for index in range(20):
        item = dataset[index]
        apart = (item["sharp"] - item["blur"]) * 255
        assert item["blur"].shape == (3, 16, 16)
        assert item["blur"].dtype == torch.float32
        # The fake's two sides differ by one step of one channel and by nothing else.
        assert sorted(apart.mean(dim=(1, 2)).round(decimals=3).tolist()) == [0, 0, 1]
        assert apart.std(dim=(1, 2)).max() < 1e-4


def test_an_item_depends_on_seed_and_index_alone(gopro):
    one, two, other = crops(gopro), crops(gopro, length=99), crops(gopro, seed=4)
    two[0]
    assert all(torch.equal(one[i]["blur"], two[i]["blur"]) for i in (7, 2, 1000))
    assert any(not torch.equal(one[i]["blur"], other[i]["blur"]) for i in range(5))
    assert len({one[i]["key"].split("#")[0] for i in range(100)}) == 9  # every pair comes


def test_windows_are_neighbours_of_one_sequence_in_order(gopro):
    dataset = crops(gopro, frames=2, augment=PairedAugment(crop=False, flip=False, rotate=False))
    assert len(dataset.windows) == 6
    for window in dataset.windows:
        first, second = (row.parameters["frame"] for row in window)
        assert second == first + 1
        assert len({row.scene for row in window}) == 1
    item = dataset[0]
    assert item["blur"].shape == item["sharp"].shape == (2, 3, 16, 16)
    levels = (item["sharp"][:, 2].amax(dim=(1, 2)) * 255).round().tolist()
    assert levels[1] == levels[0] + 2


def test_more_frames_than_a_sequence_has_are_refused(gopro):
    with pytest.raises(UnblurError, match=r"no 4 are neighbours in a sequence; lower data\.frames"):
        crops(gopro, frames=4)


def test_a_picture_smaller_than_the_crop_and_a_mismatched_pair_are_named(gopro):
    with pytest.raises(UnblurError, match=r"pair GOPR.*: 32 x 24 pixels, crops have 25 a side; lower data\.patch_size"):
        crops(gopro, patch_size=25)[0]
    row = gopro.rows[0]
    write_png(gopro.root / row.sharp, np.zeros((20, 32, 3), np.uint8))
    with pytest.raises(UnblurError, match=f"pair {row.pair}: pictures of 32 x 20, 32 x 24"):
        crops(replace(gopro, rows=[row]))[0]


def test_the_truth_of_a_burst_is_that_of_its_first_frame(gopro):
    options = {"frames": 2, "augment": PairedAugment(crop=False, flip=False, rotate=False)}
    burst, video = crops(gopro, burst=True, **options)[4], crops(gopro, **options)[4]
    assert torch.equal(burst["blur"], video["blur"])
    assert torch.equal(burst["sharp"], video["sharp"][0])


def test_a_turned_pair_is_not_trained_on(tmp_path, make_photo):
    for seed in range(3):
        photo = make_photo(64, 64, seed=seed)
        write_png(tmp_path / "train" / "sharp" / f"{seed}.png", photo)
        write_png(tmp_path / "train" / "blur" / f"{seed}.png", np.ascontiguousarray(np.rot90(photo)))
    dataset = import_dataset(LAYOUTS["pairs"], tmp_path, hold_out=0)
    with pytest.raises(UnblurError, match=r"train/blur/\d\.png: fits its truth as EXIF orientation \d would show it"):
        crops(dataset)[0]
    crops(dataset, limits=CheckConfig(turn_gain=2.0))[0]
