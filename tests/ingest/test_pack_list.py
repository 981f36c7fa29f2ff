"""What is packed: the lists and folders that hold sharp photographs or pairs."""

import numpy as np
import pytest

from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import PairRow, write_manifest
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import Shards
from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset, write_imported
from unblur.ingest.layouts.known import LAYOUTS
from unblur.ingest.pack import pack
from unblur.ingest.pack_list import list_photos

SMALL = {"tile": 40, "overlap": 8, "min_side": 32, "shard_bytes": 30_000}


def opened(folder):
    return Shards(ShardStore(str(folder), folder / "no_cache", 1 << 30))


def test_pairs_are_read_from_twin_folders_and_from_a_manifest(tmp_path, make_photo):
    root = tmp_path / "pairs"
    for seed, name in enumerate("ab"):
        for side in ("blur", "sharp"):
            write_png(root / side / f"seq/{name}.png", make_photo(50, 60, seed + 10 * (side == "blur")))
    rows = [
        PairRow(name, split, name, "", f"blur/seq/{name}.png", f"sharp/seq/{name}.png", 0, "real", 0.0, {}, "", "")
        for name, split in (("a", "train"), ("b", "val"))
    ]
    pack(root, tmp_path / "twins", **SMALL)
    shards = opened(tmp_path / "twins")
    assert shards.index.sides == ("blur", "sharp")
    assert {shards.source(number) for number in range(len(shards))} == {"seq/a", "seq/b"}
    write_manifest(root, rows)
    sides, listed = list_photos(root / "manifest.csv", "train")
    assert sides == ("blur", "sharp")
    assert [photo.files for photo in listed] == [(root / "blur/seq/a.png", root / "sharp/seq/a.png")]
    pack(root, tmp_path / "val", split="val", **SMALL)
    shards = opened(tmp_path / "val")
    for number in range(len(shards)):
        top, left = (int(shards.table[number][name]) for name in ("top", "left"))
        expected = [
            read_rgb(root / f"{side}/seq/b.png")[top : top + 40, left : left + 40] for side in ("blur", "sharp")
        ]
        np.testing.assert_array_equal(shards[number], expected)


def test_a_data_root_gives_its_split(project):
    sides, listed = list_photos(project / "data", "train")
    assert sides == ("sharp",)
    assert [photo.name for photo in listed] == ["photos/a.png", "photos/b.png"]


def test_folders_without_photographs_or_with_half_pairs_are_refused(tmp_path, make_photo):
    with pytest.raises(UnblurError, match=r"holds no picture, manifest\.csv or SOURCES\.json"):
        list_photos(tmp_path / "nowhere", "train")
    root = tmp_path / "pairs"
    write_png(root / "blur/a.png", make_photo(50, 60))
    write_png(root / "blur/b.png", make_photo(50, 60))
    write_png(root / "sharp/a.png", make_photo(50, 61))
    with pytest.raises(UnblurError, match="b is in only one of blur/ and sharp/"):
        list_photos(root, "train")
    (root / "blur/b.png").unlink()
    with pytest.raises(UnblurError, match="blur and sharp have 60 x 50 and 61 x 50 pixels"):
        pack(root, tmp_path / "out", **SMALL)
    (root / "sharp/a.png").rename(root / "sharp/a.jpg")
    write_png(root / "sharp/a.png", make_photo(50, 60))
    with pytest.raises(UnblurError, match="one name but for their endings"):
        list_photos(root, "train")


@pytest.mark.contract
@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"videos"}))
def test_an_imported_dataset_is_packed_where_it_lies(layout, make_fake, tmp_path):
    root, _ = make_fake(layout)
    dataset = import_dataset(LAYOUTS[layout], root, hold_out=0)
    write_imported(tmp_path / "list.csv", dataset)
    split = "test" if layout == "koehler" else "train"
    files = [(row.blur, row.sharp) if row.blur else (row.sharp,) for row in dataset.rows if row.split == split]
    sides, listed = list_photos(tmp_path / "list.csv", split)
    assert len(sides) == len(files[0])
    assert sorted(photo.files for photo in listed) == sorted(tuple(root / file for file in pair) for pair in files)
    pack(tmp_path / "list.csv", tmp_path / "shards", split=split, tile=24, min_side=24)
    assert len(opened(tmp_path / "shards")) >= len(files)


def test_videos_cannot_be_packed_and_it_is_said(make_fake, tmp_path):
    root, _ = make_fake("videos")
    write_imported(tmp_path / "list.csv", import_dataset(LAYOUTS["videos"], root))
    with pytest.raises(UnblurError, match="holds no photograph of the split 'train'"):
        list_photos(tmp_path / "list.csv", "train")
