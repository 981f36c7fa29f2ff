"""The index and the table of shards: what is not right in them or in the shards is told."""

import hashlib
import json

import numpy as np
import pytest

from unblur.data.images import write_png
from unblur.data.shard_cache import ShardStore
from unblur.data.shard_index import INDEX, verify
from unblur.data.shards import Shards
from unblur.errors import UnblurError
from unblur.ingest.pack import pack

SMALL = {"tile": 40, "overlap": 8, "min_side": 32, "shard_bytes": 30_000}


@pytest.fixture
def photos(tmp_path, make_photo):
    """A folder of four photographs."""
    for seed in range(4):
        write_png(tmp_path / f"photos/{seed}.png", make_photo(70, 90, seed))
    return tmp_path / "photos"


def opened(folder):
    return Shards(ShardStore(str(folder), folder / "no_cache", 1 << 30))


def test_verify_tells_what_is_missing_cut_or_rotten_and_packing_mends_it(photos, tmp_path):
    out = tmp_path / "out"
    index = pack(photos, out, **SMALL).index
    assert verify(out) == []
    missing, cut, rotten = (out / shard.file for shard in index.shards[:3])
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    rotten.write_bytes(b"?" + rotten.read_bytes()[1:])
    wrong = verify(out)
    assert [line.split(": ")[1].split()[0] for line in wrong] == ["missing", str(index.shards[1].bytes - 1), "SHA-256"]
    with pytest.raises(UnblurError, match="verify"):
        [opened(out)[number] for number in range(index.shards[0].tiles, sum(s.tiles for s in index.shards[:2]))]
    assert pack(photos, out, **SMALL).kept == len(index.shards) - 3
    assert verify(out) == []


def test_verify_finds_a_table_that_points_outside(photos, tmp_path):
    out = tmp_path / "out"
    pack(photos, out, **SMALL)
    table = np.load(out / "tiles.npy")
    table["offset"][-1] += 10_000
    np.save(out / "tiles.npy", table)
    plain = json.loads((out / INDEX).read_text())
    plain["table"] |= {"sha256": hashlib.sha256((out / "tiles.npy").read_bytes()).hexdigest()}
    (out / INDEX).write_text(json.dumps(plain))
    assert verify(out) == ["tiles.npy: names tiles outside the shards"]


def test_an_index_of_something_else_is_refused(photos, tmp_path):
    out = tmp_path / "out"
    pack(photos, out, **SMALL)
    plain = json.loads((out / "index.json").read_text())
    for wrong in (
        {"format": "2"}, {"sides": ["blur"]}, {"shards": []}, {"colour": 1},
        {"table": {**plain["table"], "file": "../../tiles.npy"}}, {"table": {**plain["table"], "tiles": 7}},
    ):  # fmt: skip
        (out / "index.json").write_text(json.dumps({**plain, **wrong}))
        with pytest.raises(UnblurError, match="not an index of shards"):
            opened(out)
    (out / "index.json").write_text("[")
    with pytest.raises(UnblurError, match="not an index of shards"):
        opened(out)
