"""Packing: every pixel is in a tile, as it is; and an interrupted packing goes on where it stopped."""

import itertools
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.data.images import read_rgb, write_png
from unblur.data.shard_cache import ShardStore
from unblur.data.shard_index import INDEX, verify
from unblur.data.shards import Shards
from unblur.errors import UnblurError
from unblur.ingest import pack as packing
from unblur.ingest.pack import pack

SIZES = {"a": (70, 90), "b": (40, 100), "c": (33, 33), "d": (64, 64)}
SMALL = {"tile": 40, "overlap": 8, "min_side": 32, "shard_bytes": 30_000}


@pytest.fixture
def photos(tmp_path, make_photo):
    """A folder of four photographs."""
    for seed, (name, size) in enumerate(SIZES.items()):
        write_png(tmp_path / "photos" / f"{name}.png", make_photo(*size, seed))
    return tmp_path / "photos"


def opened(folder):
    return Shards(ShardStore(str(folder), folder / "no_cache", 1 << 30))


@pytest.mark.property
@given(st.integers(1, 900), st.integers(2, 300), st.data())
def test_tiles_cover_everything_and_overlap_enough(length, tile, data):
    overlap = data.draw(st.integers(0, tile - 1))
    starts = packing._starts(length, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] + min(tile, length) == length
    assert all(0 < after - before <= tile - overlap for before, after in itertools.pairwise(starts))
    fewer = len(starts) - 1
    assert fewer == 0 or (fewer - 1) * (tile - overlap) + tile < length  # one tile less would not do


def test_every_tile_is_its_part_of_the_photograph(photos, tmp_path):
    packed = pack(photos, tmp_path / "out", **SMALL)
    shards = opened(tmp_path / "out")
    assert packed.index == shards.index
    assert len(shards) == 3 * 2 + 3 + 1 + 4
    assert shards.index.smallest == 33
    seen = {name: np.zeros(size, bool) for name, size in SIZES.items()}
    for number in range(len(shards)):
        row, name = shards.table[number], shards.source(number)
        top, left = int(row["top"]), int(row["left"])
        where = slice(top, top + int(row["height"])), slice(left, left + int(row["width"]))
        np.testing.assert_array_equal(shards[number], read_rgb(photos / f"{name}.png")[where][None])
        seen[name][where] = True
    assert all(parts.all() for parts in seen.values())


def test_a_shard_is_no_larger_than_asked_for_unless_one_tile_is(photos, tmp_path):
    index = pack(photos, tmp_path / "out", **SMALL).index
    assert len(index.shards) > 2
    assert max(shard.bytes for shard in index.shards) <= 30_000
    one_each = pack(photos, tmp_path / "each", **{**SMALL, "shard_bytes": 1}).index
    assert {shard.tiles for shard in one_each.shards} == {1}


def test_the_same_photographs_give_the_same_bytes_wherever_they_lie(photos, tmp_path):
    pack(photos, tmp_path / "one", **SMALL)
    moved = photos.rename(tmp_path / "elsewhere")
    os.utime(moved / "a.png", (0, 0))
    pack(moved, tmp_path / "two", **SMALL)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two


class Interrupted(Exception):
    pass


def test_an_interrupted_packing_goes_on_where_it_stopped(photos, tmp_path):
    out = tmp_path / "out"

    def stop_after_two(items):
        yield from itertools.islice(items, 2)
        (out / ".00002-half.bin.12345678.part").write_bytes(b"killed while writing")
        raise Interrupted

    with pytest.raises(Interrupted):
        pack(photos, out, **SMALL, track=(iter, stop_after_two))
    assert not (out / INDEX).exists()
    with pytest.raises(UnblurError, match="there are no finished shards"):
        opened(out)
    written = {path: path.stat().st_mtime_ns for path in out.glob("*.bin")}
    assert len(written) == 2
    packed = pack(photos, out, **SMALL)
    assert packed.kept == 2
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    assert not list(out.glob(".*"))
    straight = pack(photos, tmp_path / "straight", **SMALL)
    assert packed.index == straight.index
    assert pack(photos, out, **SMALL).kept == len(packed.index.shards)


def test_another_photograph_or_another_tile_leaves_nothing_old_behind(photos, tmp_path, make_photo):
    out = tmp_path / "out"
    old = pack(photos, out, **SMALL)
    (out / "notes.txt").write_text("mine")
    write_png(photos / "a.png", make_photo(70, 90, 99))
    new = pack(photos, out, **SMALL)
    assert {path.name for path in out.glob("*.bin")} == {shard.file for shard in new.index.shards}
    assert new.kept < len(old.index.shards)
    pack(photos, out, **{**SMALL, "tile": 36})
    assert opened(out).index.tile == 36
    assert (out / "notes.txt").exists()
    assert verify(out) == []


def test_overlap_and_smallest_side_follow_the_tile(photos, tmp_path):
    packed = pack(photos, tmp_path / "out", tile=68)
    assert packed.index.overlap == 17
    assert packed.too_small == ["c"]


def test_small_photographs_are_left_out_and_named(photos, tmp_path):
    packed = pack(photos, tmp_path / "out", **{**SMALL, "min_side": 40})
    assert packed.too_small == ["c"]
    with pytest.raises(UnblurError, match="none of 4 photographs has 200 pixels a side; lower --min-side"):
        pack(photos, tmp_path / "none", tile=200, min_side=200, overlap=0)


@pytest.mark.parametrize("wrong", [{"overlap": 40}, {"overlap": -1}, {"min_side": 41}, {"shard_bytes": 0}])
def test_impossible_settings_are_refused(photos, tmp_path, wrong):
    with pytest.raises(UnblurError, match="expected 0 <= overlap < tile"):
        pack(photos, tmp_path / "out", **{**SMALL, **wrong})


def test_a_turned_pair_is_not_packed(tmp_path, make_photo):
    photo = make_photo(64, 64)
    write_png(tmp_path / "pairs" / "sharp" / "a.png", photo)
    write_png(tmp_path / "pairs" / "blur" / "a.png", np.ascontiguousarray(photo[::-1]))
    with pytest.raises(UnblurError, match=r"blur/a\.png: fits its truth as EXIF orientation 4 would show it"):
        pack(tmp_path / "pairs", tmp_path / "out", **SMALL)
    assert not (tmp_path / "out" / INDEX).exists()
