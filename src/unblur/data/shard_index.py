"""What shards hold: index.json names their files and hashes, tiles.npy says where each tile lies.

A shard is nothing but the bytes of its tiles, one after the other: (sides, height, width, 3) uint8 RGB each, where
the sides are blur and sharp, or sharp alone. Both lists are small, and the table of tiles is memory-mapped, so a
reader needs no more memory for a thousand shards than for one.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.safety.archives import check_names
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file

INDEX = "index.json"
FORMAT = "unblur-shards-1"
SIDES = (("sharp",), ("blur", "sharp"))
Table = NDArray[np.void]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.(?:bin|npy)")  # no folders: nothing to escape from
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ShardFile:
    """A file of the dataset: its name, size in bytes, SHA-256, and how many tiles it is about."""

    file: str
    bytes: int
    sha256: str
    tiles: int


@dataclass(frozen=True)
class ShardIndex:
    """index.json, written last: as long as it is missing, the shards are not finished.

    Attributes:
        sides: ("blur", "sharp") or ("sharp",).
        split: the split that was packed.
        tile: side of a tile in pixels; photographs that are smaller are one smaller tile.
        overlap: least overlap of neighbouring tiles in pixels.
        smallest: the shortest side of any tile in pixels.
        table: tiles.npy.
        shards: in the order of the table.
    """

    sides: tuple[str, ...]
    split: str
    tile: int
    overlap: int
    smallest: int
    table: ShardFile
    shards: tuple[ShardFile, ...]
    format: str = FORMAT


def tile_type(longest_name: int) -> np.dtype[np.void]:
    """Return the type of a row of tiles.npy.

    `shard` counts the index's shards, `offset` is in bytes from its start; `source` (UTF-8) is the photograph that the
    tile was cut from at (`top`, `left`).
    """
    numbers = [(name, "<u4") for name in ("shard", "height", "width", "top", "left")]
    return np.dtype([*numbers, ("offset", "<u8"), ("source", f"S{longest_name}")])


def write_index(folder: Path, index: ShardIndex) -> None:
    """Write `<folder>/index.json`."""
    with replacing(folder / INDEX) as unfinished:
        unfinished.write_text(json.dumps(asdict(index), indent=1) + "\n", encoding="utf-8")


def parse_index(content: bytes, where: str) -> ShardIndex:
    """Return the index that `content` holds.

    Raises:
        UnblurError: not such an index, a field is missing or wrong, or two files have one name.
    """
    try:
        plain = json.loads(content)
        if plain.get("format") != FORMAT:
            msg = f"its format is {plain.get('format')!r}, not {FORMAT!r}"
            raise ValueError(msg)
        index = ShardIndex(
            **{
                **plain,
                "sides": tuple(plain["sides"]),
                "table": ShardFile(**plain["table"]),
                "shards": tuple(ShardFile(**shard) for shard in plain["shards"]),
            }
        )
        _check(index)
        check_names([item.file for item in (index.table, *index.shards)], Path(where) / INDEX)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{where}: not an index of shards ({error}); write it with `unblur data pack`"
        raise UnblurError(msg) from error
    return index


def read_table(path: Path, index: ShardIndex) -> Table:
    """Return the rows of tiles.npy (N,), memory-mapped.

    Raises:
        UnblurError: the file is missing, damaged or of another index.
    """
    try:
        table: Table = np.load(path, mmap_mode="r", allow_pickle=False)
        fits = len(table) == index.table.tiles and set(table.dtype.names or ()) == set(tile_type(1).names or ())
    except (OSError, ValueError, TypeError) as error:
        msg = f"{path}: the table of tiles cannot be read ({error}); run `unblur data pack` again"
        raise UnblurError(msg) from error
    if not fits:
        msg = f"{path}: not the table of {index.table.tiles} tiles that {INDEX} names; run `unblur data pack` again"
        raise UnblurError(msg)
    return table


def tile_bytes(sides: Sequence[str], height: int, width: int) -> int:
    """Return the size of a tile in a shard."""
    return len(sides) * height * width * 3


def verify(folder: Path, track: Callable[[Sequence[ShardFile]], Iterable[ShardFile]] = iter) -> list[str]:
    """Return what is wrong with the shards in `folder`, one line each; nothing if every SHA-256 is right.

    Raises:
        UnblurError: there is no index, or the table cannot be read.
    """
    if not (folder / INDEX).is_file():
        msg = f"{folder / INDEX}: there are no finished shards; run `unblur data pack` (again)"
        raise UnblurError(msg)
    index = parse_index((folder / INDEX).read_bytes(), str(folder))
    wrong = []
    for item in track([index.table, *index.shards]):
        path = folder / item.file
        if not path.is_file():
            wrong.append(f"{item.file}: missing")
        elif (size := path.stat().st_size) != item.bytes:
            wrong.append(f"{item.file}: {size} bytes, expected {item.bytes}")
        elif (digest := sha256_file(path)) != item.sha256:
            wrong.append(f"{item.file}: SHA-256 {digest}, expected {item.sha256}")
    if not wrong:
        rows = read_table(folder / index.table.file, index)
        ends = rows["offset"] + np.uint64(len(index.sides) * 3) * rows["height"] * rows["width"]
        sizes = np.array([shard.bytes for shard in index.shards], np.uint64)
        if (rows["shard"] >= len(sizes)).any() or (ends > sizes[np.minimum(rows["shard"], len(sizes) - 1)]).any():
            wrong.append(f"{index.table.file}: names tiles outside the shards")
    return wrong


def _check(index: ShardIndex) -> None:
    files: list[Any] = [index.table, *index.shards]
    wrong = [item.file for item in files if not (_NAME.fullmatch(item.file) and _SHA256.fullmatch(item.sha256))]
    if wrong or index.sides not in SIDES or not index.shards:
        msg = f"sides {index.sides}, {len(index.shards)} shards, unsafe names or hashes: {wrong[:3]}"
        raise ValueError(msg)
    if min(item.tiles for item in files) < 1 or sum(shard.tiles for shard in index.shards) != index.table.tiles:
        msg = f"{index.table.tiles} tiles in the table, but the shards hold another number"
        raise ValueError(msg)
