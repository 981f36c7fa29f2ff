"""Packing a dataset into shards: photographs decoded once, cut into overlapping tiles, and written as plain bytes."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unblur.config.schema import CheckConfig
from unblur.data.alignment import refuse_turned
from unblur.data.images import read_rgb
from unblur.data.shard_index import INDEX, ShardFile, ShardIndex, parse_index, tile_bytes, tile_type, write_index
from unblur.errors import UnblurError
from unblur.images.header import check_image_header
from unblur.ingest.pack_list import Photo, list_photos
from unblur.safety.atomic import UNFINISHED, make_folder, replacing, sync_folder
from unblur.safety.hashing import sha256_file

TABLE = "tiles.npy"
Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Tile:
    """A part of a photograph, in pixels."""

    photo: Photo
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Packed:
    """What packing did: the index, the shards that were there already, and the photographs that were too small."""

    index: ShardIndex
    kept: int
    too_small: list[str]


def pack(
    source: Path,
    out: Path,
    *,
    split: str = "train",
    tile: int = 512,
    overlap: int | None = None,
    min_side: int | None = None,
    shard_bytes: int = 256 << 20,
    track: tuple[Track, Track] = (iter, iter),
) -> Packed:
    """Write the photographs of one split as shards into `out`.

    Tiles of a photograph are spread evenly, so that none is padded; neighbours overlap by `overlap` pixels or more. A
    photograph smaller than a tile is one smaller tile. Photographs come in the order of their hashes, which mixes
    scenes and is the same on every machine. A shard appears under its name when it is whole; its name holds a hash of
    what goes into it. So packing that was interrupted keeps what it has, and index.json, the last file written, stands
    for a finished dataset.

    Args:
        source: as for `unblur.ingest.pack_list.list_photos`.
        out: folder of the shards.
        split: which photographs of a list are packed.
        tile: side of a tile in pixels.
        overlap: least overlap of neighbouring tiles in pixels, under `tile`; None is a quarter of it.
        min_side: photographs with a shorter side are left out; the largest patch to train on. None is half of `tile`.
        shard_bytes: most bytes of a shard; a tile that is larger gets a shard of its own.
        track: wraps the photographs to be hashed, and the shards to be written.

    Raises:
        UnblurError: an argument is out of range, a photograph cannot be read, or the sides of a pair differ in size
            or in how they lie.
    """
    overlap = tile // 4 if overlap is None else overlap
    min_side = tile // 2 if min_side is None else min_side
    if not 0 <= overlap < tile or not 1 <= min_side <= tile or shard_bytes < 1:
        msg = (
            f"pack: got tile {tile}, overlap {overlap}, min-side {min_side}, {shard_bytes} bytes a shard; "
            "expected 0 <= overlap < tile, 1 <= min-side <= tile and more than 0 bytes"
        )
        raise UnblurError(msg)
    sides, photos = list_photos(source, split)
    tiles, hashes, too_small = _plan(photos, track[0], tile, overlap, min_side)
    if not tiles:
        msg = f"{source}: none of {len(photos)} photographs has {min_side} pixels a side; lower --min-side"
        raise UnblurError(msg)
    recorded = _recorded(out)
    (out / INDEX).unlink(missing_ok=True)  # it comes back last
    make_folder(out)
    sync_folder(out)
    groups = list(_groups(tiles, sides, shard_bytes))
    names = [f"{number:05d}-{_plan_hash(group, hashes)}.bin" for number, group in enumerate(groups)]
    _remove_others(out, names)
    shards, kept = [], 0
    for number in track[1](range(len(groups))):
        path, group = out / names[number], groups[number]
        size = sum(_bytes(item, sides) for item in group)
        digest = sha256_file(path) if path.is_file() and path.stat().st_size == size else None
        if digest is not None and recorded.get(path.name, digest) == digest:
            kept += 1
        else:
            _write_shard(path, group)
            digest = sha256_file(path)
        shards.append(ShardFile(path.name, size, digest, len(group)))
    table = _write_table(out, groups, sides)
    smallest = min(min(item.height, item.width) for item in tiles)
    index = ShardIndex(sides, split, tile, overlap, smallest, table, tuple(shards))
    write_index(out, index)
    return Packed(index, kept, too_small)


def _plan(
    photos: Sequence[Photo], track: Track, tile: int, overlap: int, min_side: int
) -> tuple[list[Tile], dict[str, str], list[str]]:
    """Return all tiles in the order of packing, each photograph's hash by name, and the names of those left out."""
    too_small, sizes, hashes = [], {}, {}
    for photo in track(photos):
        heads = [check_image_header(path) for path in photo.files]
        if len({(head.height, head.width) for head in heads}) > 1:
            both = " and ".join(f"{head.width} x {head.height}" for head in heads)
            msg = f"{photo.name}: blur and sharp have {both} pixels; expected one size, leave this pair out"
            raise UnblurError(msg)
        if min(heads[0].height, heads[0].width) < min_side:
            too_small.append(photo.name)
            continue
        sizes[photo] = heads[0].height, heads[0].width
        digests = "".join(sha256_file(path) for path in photo.files)
        hashes[photo.name] = hashlib.sha256(f"{photo.name}\n{digests}".encode()).hexdigest()
    tiles = [
        Tile(photo, top, left, min(tile, sizes[photo][0]), min(tile, sizes[photo][1]))
        for photo in sorted(sizes, key=lambda photo: hashes[photo.name])
        for top in _starts(sizes[photo][0], tile, overlap)
        for left in _starts(sizes[photo][1], tile, overlap)
    ]
    return tiles, hashes, too_small


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """Return where the fewest tiles begin that cover `length` pixels, evenly spread."""
    count = 1 if length <= tile else -(-(length - overlap) // (tile - overlap))
    return [round(index * (length - tile) / (count - 1)) for index in range(count)] if count > 1 else [0]


def _groups(tiles: Sequence[Tile], sides: Sequence[str], shard_bytes: int) -> Iterator[list[Tile]]:
    group: list[Tile] = []
    size = 0
    for item in tiles:
        if group and size + _bytes(item, sides) > shard_bytes:
            yield group
            group, size = [], 0
        group.append(item)
        size += _bytes(item, sides)
    yield group


def _bytes(item: Tile, sides: Sequence[str]) -> int:
    return tile_bytes(sides, item.height, item.width)


def _plan_hash(group: Sequence[Tile], hashes: dict[str, str]) -> str:
    rows = [[hashes[item.photo.name], *list(asdict(item).values())[1:]] for item in group]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _write_shard(path: Path, group: Sequence[Tile]) -> None:
    """Write the tiles one after the other; one photograph is in memory at a time."""
    current: Photo | None = None
    with replacing(path) as unfinished, unfinished.open("wb") as sink:
        for item in group:
            if item.photo is not current:
                pixels = np.stack([read_rgb(file) for file in item.photo.files])
                if len(pixels) == 2:
                    refuse_turned(str(item.photo.files[0]), pixels[0], pixels[1], CheckConfig())
                current = item.photo
            rows, columns = slice(item.top, item.top + item.height), slice(item.left, item.left + item.width)
            sink.write(pixels[:, rows, columns].tobytes())


def _write_table(out: Path, groups: Sequence[Sequence[Tile]], sides: Sequence[str]) -> ShardFile:
    longest = max(len(item.photo.name.encode()) for group in groups for item in group)
    table = np.zeros(sum(map(len, groups)), tile_type(longest))
    number = 0
    for shard, group in enumerate(groups):
        offset = 0
        for item in group:
            row = table[number]
            row["shard"], row["offset"], row["source"] = shard, offset, item.photo.name.encode()
            row["height"], row["width"], row["top"], row["left"] = item.height, item.width, item.top, item.left
            offset += _bytes(item, sides)
            number += 1
    with replacing(out / TABLE) as unfinished, unfinished.open("wb") as sink:
        np.save(sink, table, allow_pickle=False)
    return ShardFile(TABLE, (out / TABLE).stat().st_size, sha256_file(out / TABLE), len(table))


def _recorded(out: Path) -> dict[str, str]:
    """Return the SHA-256 of each shard by the index of a finished packing: one that has rotted since is not kept."""
    try:
        index = parse_index((out / INDEX).read_bytes(), str(out))
    except (OSError, UnblurError):
        return {}
    return {shard.file: shard.sha256 for shard in index.shards}


def _remove_others(out: Path, names: Sequence[str]) -> None:
    """Remove what another packing or an interrupted one has left; what is not a shard is left alone."""
    shards = {*out.glob("[0-9]*-????????????????.bin"), *out.glob(f".*{UNFINISHED}")}
    for path in shards - {out / name for name in names}:
        path.unlink(missing_ok=True)
