import dataclasses
from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from unblur.blur.optics import Defocus
from unblur.blur.recipe import BlurRecipe, SeverityRamp
from unblur.blur.sensor import SensorNoise
from unblur.blur.trajectory import CameraShake
from unblur.data.augment import PairedAugment
from unblur.data.datasets import Pairs, SharpCrops
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import Source
from unblur.data.pairs import prepare_pairs
from unblur.data.sampling import StatelessSampler
from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file

RECIPE = BlurRecipe(
    operators={"identity": CameraShake(0, 1), "shake": CameraShake(4, 12), "defocus": Defocus(0.8, 4)},
    weights={"identity": 1, "shake": 2, "defocus": 1},
    sensor=SensorNoise(0.002, 0.012),
)
STILL = BlurRecipe({"identity": CameraShake(0, 0)}, {"identity": 1})
MIDDLE = PairedAugment(crop=False, flip=False, rotate=False)
PHOTOS = {"photos/a.png": ("train", 90, 120), "photos/b.png": ("train", 130, 80)}


@pytest.fixture
def make_data_root(tmp_path, make_photo):
    """`make_data_root({"photos/a.png": ("train", 96, 128), ...})` -> (data root, its sources)."""

    def make(photos):
        root, sources = tmp_path / "data", []
        for seed, (file, (split, height, width)) in enumerate(photos.items()):
            write_png(root / file, make_photo(height, width, seed))
            sources.append(Source(file, split, file, sha256_file(root / file), "CC0"))
        return root, sources

    return make


@pytest.fixture
def data(make_data_root):
    return make_data_root(PHOTOS)


def crops(data, **options):
    defaults = {"recipe": RECIPE, "augment": PairedAugment(), "patch_size": 32, "length": 100, "seed": 1}
    return SharpCrops(data[1], data[0], **{**defaults, **options})


def same(one, two):
    return (
        one["key"] == two["key"] and torch.equal(one["blur"], two["blur"]) and torch.equal(one["sharp"], two["sharp"])
    )


def test_items_are_pairs_in_range(data):
    dataset = crops(data)
    assert len(dataset) == 100
    for index in range(20):
        item = dataset[index]
        for side in ("blur", "sharp"):
            assert item[side].shape == (3, 32, 32)
            assert item[side].dtype == torch.float32
            assert 0 <= item[side].min() < item[side].max() <= 1
        assert item["key"] in (f"a.png#{index}", f"b.png#{index}")


def test_an_item_is_a_function_of_seed_and_index_alone(data):
    dataset, fresh = crops(data), crops(data)
    forwards = [dataset[index] for index in range(12)]
    assert all(same(fresh[index], forwards[index]) for index in reversed(range(12)))
    assert same(dataset[10**9], fresh[10**9])  # beyond len(): epochs count up
    assert not any(same(crops(data, seed=2)[index], forwards[index]) for index in range(12))
    assert len({item["sharp"].numpy().tobytes() for item in forwards}) == 12


def test_the_number_of_workers_changes_nothing(data):
    loaders = [
        DataLoader(crops(data), batch_size=4, sampler=StatelessSampler(16), num_workers=workers) for workers in (0, 2)
    ]
    for one, two in zip(*loaders, strict=True):
        assert one["key"] == two["key"]
        assert torch.equal(one["blur"], two["blur"])


def test_sharp_is_a_part_of_the_photograph_mirrored_or_turned(data):
    photos = {name: read_rgb(data[0] / "photos" / name) for name in ("a.png", "b.png")}
    dataset = crops(data, patch_size=24)
    for index in range(8):
        item = dataset[index]
        patch = (item["sharp"] * 255).round().byte().numpy().transpose(1, 2, 0)
        photo = photos[item["key"].split("#")[0]]
        turned = [np.rot90(side, k).copy() for side in (patch, patch[:, ::-1]) for k in range(4)]
        places = [cv2.minMaxLoc(cv2.matchTemplate(photo, one, cv2.TM_SQDIFF))[2] for one in turned]
        assert any(
            np.array_equal(photo[y : y + 24, x : x + 24], one) for (x, y), one in zip(places, turned, strict=True)
        )


def test_zoom_changes_the_size_of_what_is_seen_and_permutation_its_colours(make_data_root, tmp_path):
    root, sources = make_data_root({"photos/a.png": ("train", 96, 128)})
    ramp = np.zeros((96, 128, 3), np.uint8)
    ramp[..., 0] = np.arange(128)  # one grey level a pixel
    write_png(root / "photos/a.png", ramp)
    for zoom in (0.5, 2.0):
        options = {"recipe": STILL, "augment": PairedAugment(False, False, False, zoom=(zoom, zoom))}
        red = crops((root, sources), **options)[0]["sharp"][0, 16] * 255
        slope = (red[24] - red[8]).item() / 16
        assert slope == pytest.approx(1 / zoom, abs=0.1)
    options = {"recipe": STILL, "augment": PairedAugment(False, False, False, permute=True), "length": 20}
    brightest = {
        crops((root, sources), **options)[index]["sharp"].mean(dim=(1, 2)).argmax().item() for index in range(20)
    }
    assert brightest == {0, 1, 2}


def test_the_blur_reaches_over_the_edge_of_the_patch_into_the_photograph(data):
    """The middle patch of a quiet dataset equals the middle of the whole photograph, blurred."""
    quiet = BlurRecipe({"defocus": Defocus(4, 4)}, {"defocus": 1})
    dataset = crops((data[0], data[1][:1]), recipe=quiet, augment=MIDDLE)
    photo = read_rgb(data[0] / "photos/a.png")
    whole, _ = quiet.apply(photo, quiet.draw(np.random.default_rng(0)))
    patch = (dataset[0]["blur"] * 255).round().byte().numpy().transpose(1, 2, 0)
    assert np.abs(patch.astype(int) - whole[29:61, 44:76]).max() <= 1


def test_without_blur_and_noise_both_sides_are_equal(data):
    item = crops(data, recipe=STILL)[3]
    assert torch.equal(item["blur"], item["sharp"])


def test_photographs_come_by_the_root_of_their_area(make_data_root):
    data = make_data_root({"photos/small.png": ("train", 40, 40), "photos/large.png": ("train", 120, 120)})
    dataset = crops(data, recipe=STILL, augment=MIDDLE, patch_size=16)
    large = Counter(dataset[index]["key"].split("#")[0] for index in range(600))["large.png"]
    assert large / 600 == pytest.approx(3 / 4, abs=0.07)  # not 9/10, their areas' share; four standard errors


def test_nearly_constant_crops_are_drawn_again(data):
    photo = np.full((200, 200, 3), (90, 140, 200), np.uint8)
    photo[:, 100:] = read_rgb(data[0] / "photos/b.png")[:100, :50].repeat(2, axis=0).repeat(2, axis=1)
    write_png(data[0] / "photos/a.png", photo)
    dataset = crops((data[0], data[1][:1]), recipe=STILL, patch_size=32)
    flat = sum(bool(dataset[index]["sharp"].std(dim=(1, 2)).max() < 2 / 255) for index in range(300))
    # A crop is flat with probability 68/168 = 0.4; four in a row with 0.027, which is 8 of 300.
    assert flat <= 20


def test_a_photograph_that_is_constant_throughout_still_gives_items(data):
    write_png(data[0] / "photos/a.png", np.full((90, 120, 3), 77, np.uint8))
    item = crops((data[0], data[1][:1]), recipe=STILL)[0]
    assert item["sharp"].unique().tolist() == pytest.approx([77 / 255])


def test_a_photograph_of_just_the_patch_is_mirrored_around(make_data_root):
    data = make_data_root({"photos/a.png": ("train", 32, 33)})
    dataset = crops(data, augment=MIDDLE, recipe=BlurRecipe({"d": Defocus(4, 4)}, {"d": 1}))
    sharp = (dataset[0]["sharp"] * 255).round().byte().numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(sharp, read_rgb(data[0] / "photos/a.png")[:, 1:33])


def test_severity_follows_the_index(data):
    strong = BlurRecipe({"defocus": Defocus(0, 6)}, {"defocus": 1})
    ramped = crops(data, recipe=strong, severity=SeverityRamp(start=0.0, samples=1000))
    plain = crops(data, recipe=strong)
    assert torch.equal(ramped[0]["blur"], ramped[0]["sharp"])
    assert not torch.equal(plain[0]["blur"], plain[0]["sharp"])
    assert same(ramped[2000], plain[2000])


def test_a_small_cache_changes_nothing_but_time(data):
    small = crops(data, cache_bytes=1)
    assert all(same(small[index], crops(data)[index]) for index in range(6))
    assert len(small._photos._kept) == 1


def test_photographs_under_the_patch_size_are_left_out_until_none_is_left(data):
    assert crops(data, patch_size=90).files == ["photos/a.png"]
    with pytest.raises(
        UnblurError, match=r"none of 2 training photographs has 91 pixels a side; lower data.patch_size"
    ):
        crops(data, patch_size=91)


def test_prepared_pairs_are_read_whole(make_data_root, tmp_path):
    root, sources = make_data_root({"photos/a.png": ("val", 50, 61)})
    out = tmp_path / "prepared"
    rows = prepare_pairs(sources, root, out, RECIPE, pairs_per_photo={"val": 2}, max_side={"val": 99}, seed=0)
    pairs = Pairs(rows, out)
    assert len(pairs) == 2
    assert pairs[1]["key"] == "a_01"
    for side in ("blur", "sharp"):
        stored = read_rgb(out / f"val/{side}/a_01.png").transpose(2, 0, 1) / np.float32(255)
        np.testing.assert_allclose(pairs[1][side].numpy(), stored, atol=1e-7)
    write_png(out / rows[0].blur, np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(UnblurError, match="is not what the manifest names"):
        pairs[0]
    with pytest.raises(UnblurError, match="pair a_00: blur 5 x 4, sharp 60 x 50 pixels"):
        Pairs([dataclasses.replace(rows[0], blur_sha256="")], out)[0]
    outside = Pairs([dataclasses.replace(rows[0], blur="../../x.png")], out)
    with pytest.raises(UnblurError, match="leads out of"):
        outside[0]
