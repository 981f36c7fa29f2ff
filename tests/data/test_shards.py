"""Shards as training data: every tile once a pass under any world, from a folder as from S3, in constant memory."""

import itertools
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from unblur.blur.optics import Defocus
from unblur.blur.recipe import BlurRecipe, SeverityRamp
from unblur.blur.trajectory import CameraShake
from unblur.data.augment import PairedAugment
from unblur.data.images import read_rgb, write_png
from unblur.data.sampling import StatelessSampler
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import ShardedCrops, Shards
from unblur.errors import UnblurError
from unblur.ingest.pack import pack

RECIPE = BlurRecipe({"shake": CameraShake(2, 8), "defocus": Defocus(0.8, 3)}, {"shake": 1, "defocus": 1})
MIDDLE = PairedAugment(crop=False, flip=False, rotate=False)
SMALL = {"tile": 40, "overlap": 8, "min_side": 32, "shard_bytes": 20_000}


@pytest.fixture
def sharp(tmp_path, make_photo):
    """Shards of 23 sharp tiles, each with a colour of its own in its first pixel."""
    for seed, (height, width) in enumerate([(100, 72), (40, 104), (72, 72), (40, 40), (40, 40), (72, 136)]):
        write_png(tmp_path / f"photos/{seed}.png", make_photo(height, width, seed))
    pack(tmp_path / "photos", tmp_path / "sharp", **SMALL)
    return tmp_path / "sharp"


@pytest.fixture
def pairs(tmp_path, make_photo):
    """Shards of pairs."""
    for seed in range(4):
        for side in ("blur", "sharp"):
            write_png(tmp_path / f"pairs/{side}/{seed}.png", make_photo(72, 72, seed + 10 * (side == "blur")))
    pack(tmp_path / "pairs", tmp_path / "paired", **SMALL)
    return tmp_path / "paired"


def opened(url, cache="no_cache", budget=1 << 30):
    return Shards(ShardStore(str(url), cache, budget))


def crops(url, **options):
    shards = url if isinstance(url, Shards) else opened(url)
    defaults = {"recipe": RECIPE, "augment": PairedAugment(), "patch_size": 24, "length": 100, "seed": 1}
    return ShardedCrops(shards, **{**defaults, **options})


def same(one, two):
    return (
        one["key"] == two["key"] and torch.equal(one["blur"], two["blur"]) and torch.equal(one["sharp"], two["sharp"])
    )


class TileNumbers(ShardedCrops):
    """Says which tile an item is from, instead of the item."""

    def __getitem__(self, index):
        return self.order(index)


@pytest.mark.contract
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("drop_last", [True, False])
def test_every_tile_comes_once_a_pass_in_any_world(sharp, world_size, workers, drop_last):
    """Epochs of 5 steps of 2 samples on each process, as the DataModule deals them; passes do not care for epochs."""
    dataset, batch, steps, epochs = (
        TileNumbers(opened(sharp), recipe=RECIPE, augment=MIDDLE, patch_size=24, length=10, seed=3),
        2,
        5,
        7,
    )
    seen = {}
    for rank, epoch in itertools.product(range(world_size), range(epochs)):
        samples = steps * batch * world_size
        sampler = StatelessSampler(samples, rank, world_size)
        sampler.set_epoch(epoch)
        loader = DataLoader(dataset, batch_size=batch, sampler=sampler, num_workers=workers, drop_last=drop_last)
        tiles = list(itertools.chain.from_iterable(part.tolist() for part in loader))
        assert len(tiles) == steps * batch
        seen |= zip(sampler, tiles, strict=True)
    total = len(dataset.shards)
    assert sorted(seen) == list(range(epochs * steps * batch * world_size))
    in_order = [seen[index] for index in sorted(seen)]
    whole = len(in_order) // total
    assert whole >= 3
    for number in range(whole):
        assert sorted(in_order[number * total : (number + 1) * total]) == list(range(total))
    rest = in_order[whole * total :]
    assert len(set(rest)) == len(rest)


@pytest.mark.contract
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("drop_last", [True, False])
def test_an_epoch_of_one_pass_repeats_nothing_and_drops_only_what_it_must(sharp, world_size, batch, drop_last):
    """23 tiles do not go evenly into any of these worlds: what is left over is dropped, never doubled."""
    dataset = TileNumbers(opened(sharp), recipe=RECIPE, augment=MIDDLE, patch_size=24, length=23, seed=3)
    total = len(dataset.shards)
    tiles = []
    for rank in range(world_size):
        sampler = StatelessSampler(total, rank, world_size)
        loader = DataLoader(dataset, batch_size=batch, sampler=sampler, drop_last=drop_last)
        tiles.append(list(itertools.chain.from_iterable(part.tolist() for part in loader)))
    assert len({len(part) for part in tiles}) == 1
    share = total // world_size
    assert len(tiles[0]) == (share // batch * batch if drop_last else share)
    assert max(Counter(itertools.chain(*tiles)).values()) == 1


def test_an_item_is_a_function_of_seed_and_index_alone(sharp, pairs):
    for folder in (sharp, pairs):
        dataset, fresh = crops(folder), crops(folder)
        forwards = [dataset[index] for index in range(40)]
        assert all(same(fresh[index], forwards[index]) for index in reversed(range(40)))
        assert same(dataset[10**9], fresh[10**9])
        assert not any(same(crops(folder, seed=2)[index], forwards[index]) for index in range(12))


def test_the_number_of_workers_and_the_way_they_start_change_nothing(sharp):
    dataset = crops(sharp)
    dataset[0]  # the parent has the table open already
    loaders = [
        DataLoader(
            dataset, batch_size=4, sampler=StatelessSampler(24), num_workers=workers, multiprocessing_context=how
        )
        for workers, how in ((0, None), (2, "fork"), (1, "spawn"))
    ]
    for batches in zip(*loaders, strict=True):
        assert len({tuple(batch["key"]) for batch in batches}) == 1
        assert all(torch.equal(batch["blur"], batches[0]["blur"]) for batch in batches)


def test_sharp_tiles_are_blurred_by_the_recipe_with_a_margin_from_the_tile(sharp, tmp_path):
    quiet = BlurRecipe({"defocus": Defocus(4, 4)}, {"defocus": 1})
    dataset = crops(sharp, recipe=quiet, augment=MIDDLE)
    item = dataset[0]
    tile = dataset.shards[dataset.order(0)][0]
    whole, _ = quiet.apply(tile, quiet.draw(np.random.default_rng(0)))
    blur, truth = ((item[side] * 255).round().byte().numpy().transpose(1, 2, 0) for side in ("blur", "sharp"))
    np.testing.assert_array_equal(truth, tile[8:32, 8:32])
    assert np.abs(blur.astype(int) - whole[8:32, 8:32]).max() <= 1
    ramped = crops(sharp, recipe=BlurRecipe({"d": Defocus(0, 4)}, {"d": 1}), severity=SeverityRamp(0.0, 1000))
    assert torch.equal(ramped[0]["blur"], ramped[0]["sharp"])
    assert not torch.equal(ramped[1000]["blur"], ramped[1000]["sharp"])


def test_pairs_keep_their_own_blur_and_move_together(pairs, tmp_path):
    photos = {
        f"{side}/{name}": read_rgb(tmp_path / f"pairs/{side}/{name}.png")
        for side in ("blur", "sharp")
        for name in range(4)
    }
    dataset = crops(pairs, augment=MIDDLE)
    for index in range(12):
        item, number = dataset[index], dataset.order(index)
        name, row = item["key"].split("#")[0], dataset.shards.table[number]
        top, left = int(row["top"]) + 8, int(row["left"]) + 8
        for side in ("blur", "sharp"):
            found = (item[side] * 255).round().byte().numpy().transpose(1, 2, 0)
            np.testing.assert_array_equal(found, photos[f"{side}/{name}"][top : top + 24, left : left + 24])
    turned = crops(pairs, augment=PairedAugment(permute=True))
    shards = turned.shards
    doubled = {number: np.stack([shards[number][1]] * 2) for number in range(len(shards))}
    shards_of_twins = opened(pairs)
    shards_of_twins.__class__ = type("Twins", (Shards,), {"__getitem__": lambda self, number: doubled[number]})
    twins = crops(shards_of_twins, augment=PairedAugment(permute=True))
    for index in range(12):
        assert torch.equal(twins[index]["blur"], twins[index]["sharp"])


def test_nearly_constant_crops_are_drawn_again_from_the_same_tile(tmp_path, make_photo):
    half = np.full((40, 40, 3), 120, np.uint8)
    half[:, 20:] = make_photo(40, 20)
    write_png(tmp_path / "photos/half.png", half)
    pack(tmp_path / "photos", tmp_path / "out", **SMALL)
    dataset = crops(tmp_path / "out", recipe=BlurRecipe({"still": CameraShake(0, 0)}, {"still": 1}), patch_size=8)
    flat = sum(bool(dataset[index]["sharp"].std(dim=(1, 2)).max() < 2 / 255) for index in range(200))
    # The middle of a crop is flat with probability 12/31, which is 77 of 200. Whole crops are, four in a row, with
    # 0.016; the middle alone, of a crop that shows something at its edge, with 1/20: 13 of 200.
    assert flat <= 30


def test_patches_larger_than_a_tile_are_refused(sharp):
    with pytest.raises(UnblurError, match=r"smallest tile has 40 pixels a side, under the 41 of data\.patch_size"):
        crops(sharp, patch_size=41)


def test_a_cut_shard_and_a_missing_one_are_told(sharp):
    shards = opened(sharp)
    path = sharp / shards.index.shards[0].file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnblurError, match="ends inside tile"):
        [shards[number] for number in range(len(shards))]
    path.unlink()
    with pytest.raises(UnblurError, match="the shard is missing"):
        shards[0]


MEMORY = """
import json, sys
from pathlib import Path
import psutil
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import Shards
shards = Shards(ShardStore(sys.argv[1], Path("none"), 1 << 40))
tiles = [shards[number] for number in range(3)]
before = psutil.Process().memory_info().rss
total = sum(int(shards[number][0, 0, 0, 0]) for number in range(len(shards)))
print(json.dumps([len(shards), psutil.Process().memory_info().rss - before]))
"""


def test_a_table_that_claims_a_giant_tile_is_refused_before_memory_is_taken(sharp):
    table = np.load(sharp / "tiles.npy")
    table["height"][0] = table["width"][0] = 2**31
    np.save(sharp / "tiles.npy", table)
    with pytest.raises(UnblurError, match="tile 0 lies outside its shard"):
        opened(sharp)[0]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_dataset(tmp_path):
    """Up to 160 MB of tiles are read; of a mapped file they would all count as resident."""
    write_png(tmp_path / "photos/a.png", np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8))
    grown = []
    for overlap in (0, 120):  # 16 and 2401 tiles of 49 KB
        out = tmp_path / str(overlap)
        pack(tmp_path / "photos", out, tile=128, overlap=overlap, min_side=128, shard_bytes=4 << 20)
        done = subprocess.run([sys.executable, "-c", MEMORY, out], capture_output=True, text=True, check=True)
        grown.append(json.loads(done.stdout))
    (few, small), (many, large) = grown
    assert many > 100 * few
    assert max(small, large) < 8 << 20


@pytest.mark.pipeline
@pytest.mark.slow
def test_s3_gives_the_same_items_with_only_the_url_changed(sharp, tmp_path, bucket):
    url = bucket(sharp, "photos/train")
    largest = max(shard.bytes for shard in opened(sharp).index.shards)
    near = crops(sharp)
    budget = 8 * largest
    far = crops(opened(url, tmp_path / "cache", budget))
    assert all(same(far[index], near[index]) for index in range(30))
    kept = sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.bin"))
    assert 0 < kept <= budget
    with pytest.raises(
        UnblurError, match=r"8 shards are shuffled together and have 0\.00 GB, .*raise data\.shard_cache_gb"
    ):
        crops(opened(url, tmp_path / "cache", budget // 2))
    again = DataLoader(far, batch_size=5, sampler=StatelessSampler(30), num_workers=2)  # forked after the first fetch
    assert [key for batch in again for key in batch["key"]] == [near[index]["key"] for index in range(30)]
