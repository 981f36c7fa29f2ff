"""Training crops out of shards: tiles that lie ready as bytes, so that no photograph is decoded while training.

`unblur data pack` writes the shards. A tile is read with one seek into one file; nothing stays open or mapped but the
table of tiles, so memory does not grow with the dataset, and a fork into workers shares nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from unblur.blur.recipe import BlurRecipe
from unblur.data.augment import PairedAugment
from unblur.data.datasets import NEARLY_CONSTANT, TRIES, Item, as_tensor, draw_crop
from unblur.data.sampling import ShuffledPasses
from unblur.data.shard_cache import ShardStore, local_folder
from unblur.data.shard_index import Table, parse_index, read_table, tile_bytes
from unblur.errors import UnblurError

Photo = NDArray[np.uint8]

_ASKED_AGAIN = 5  # times that a shard may go from the cache between asking for it and opening it


class Shards:
    """The tiles of a packed dataset, by number.

    Args:
        store: where the files are, and where they are kept if that is far away.

    Raises:
        UnblurError: there is no finished dataset there.
    """

    def __init__(self, store: ShardStore) -> None:
        self.store = store
        self.index = parse_index(store.index(), store.url)
        self._table: Table | None = None

    def __len__(self) -> int:
        return self.index.table.tiles

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None}  # or a spawned worker would get a copy instead of the mapped file

    @property
    def table(self) -> Table:
        """The rows of `unblur.data.shard_index.tile_type`, memory-mapped."""
        if self._table is None:
            self._table = read_table(self.store.path(self.index.table), self.index)
        return self._table

    def source(self, number: int) -> str:
        """Return the photograph that tile `number` was cut from."""
        return bytes(self.table[number]["source"]).decode()

    def __getitem__(self, number: int) -> Photo:
        """Return tile `number`: (sides, H, W, 3) uint8 RGB, the sides as `index.sides` names them.

        Raises:
            UnblurError: the shard cannot be read, or ends too early.
        """
        row = self.table[number]
        shard = self.index.shards[int(row["shard"])]
        height, width, offset = int(row["height"]), int(row["width"]), int(row["offset"])
        if offset + tile_bytes(self.index.sides, height, width) > shard.bytes:  # nor is memory taken for it
            msg = f"{self.store.url}: tile {number} lies outside its shard; run `unblur data pack` again"
            raise UnblurError(msg)
        pixels = np.empty((len(self.index.sides), height, width, 3), np.uint8)
        for _ in range(_ASKED_AGAIN):
            path = self.store.path(shard)
            try:
                with path.open("rb", buffering=0) as stream:
                    stream.seek(offset)
                    got = stream.readinto(pixels.data.cast("B"))
            except FileNotFoundError:
                continue
            if got != tile_bytes(self.index.sides, height, width):
                msg = (
                    f"{path}: ends inside tile {number}; `unblur data verify {self.store.url}` tells which are damaged"
                )
                raise UnblurError(msg)
            return pixels
        msg = f"{path}: the shard is missing; run `unblur data pack` again, or raise data.shard_cache_gb"
        raise UnblurError(msg)


class ShardedCrops(Dataset[Item]):
    """One crop of each tile a pass: blurred anew by the recipe, or a pair as it was packed.

    Item i is a function of (seed, i) alone, for any i >= 0; `unblur.data.sampling.ShuffledPasses` says which tile it
    is from. Every tile comes exactly once in each pass, whatever the number of processes and workers; so a photograph
    counts by its area, and not by the root of it as in `unblur.data.datasets.SharpCrops`.

    Args:
        shards: the tiles; with the side "blur" they are pairs, and the recipe is not used.
        recipe: draws and applies the blur of sharp tiles.
        augment: where to crop, how to mirror and turn; its zoom is for sharp tiles only.
        patch_size: side of the items in pixels.
        length: what len() says: the items of an epoch.
        seed: of the whole dataset.
        severity: as for `unblur.data.datasets.SharpCrops`.

    Raises:
        UnblurError: a tile is smaller than the patch, or the cache smaller than the shards that are shuffled together.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        recipe: BlurRecipe,
        augment: PairedAugment,
        patch_size: int,
        length: int,
        seed: int,
        severity: Callable[[int], float] | None = None,
    ) -> None:
        if shards.index.smallest < patch_size:
            msg = (
                f"{shards.store.url}: its smallest tile has {shards.index.smallest} pixels a side, under the "
                f"{patch_size} of data.patch_size; lower that, or run `unblur data pack` with --min-side {patch_size}"
            )
            raise UnblurError(msg)
        self.shards = shards
        self.order = ShuffledPasses([shard.tiles for shard in shards.index.shards], seed)
        needed = sum(sorted(shard.bytes for shard in shards.index.shards)[-self.order.window :])
        if local_folder(shards.store.url) is None and shards.store.budget < needed:
            msg = (
                f"{shards.store.url}: {self.order.window} shards are shuffled together and have {needed / 1e9:.2f} "
                f"GB, but the cache takes {shards.store.budget / 1e9:.2f}; "
                "raise data.shard_cache_gb, or pack smaller shards"
            )
            raise UnblurError(msg)
        self.recipe = recipe
        self.augment = augment
        self.patch_size = patch_size
        self.length = length
        self.seed = seed
        self.severity = severity

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Item:
        number = self.order(index)
        rng = np.random.default_rng((self.seed, index))
        draw = self._pair if "blur" in self.shards.index.sides else self._blurred
        blur, sharp = draw(self.shards[number], index, rng)
        key = f"{Path(self.shards.source(number)).name}#{index}"
        return {"blur": as_tensor(blur), "sharp": as_tensor(sharp), "key": key}

    def _pair(self, tile: Photo, index: int, rng: np.random.Generator) -> tuple[Photo, Photo]:
        for _ in range(TRIES):
            blur, sharp = self.augment(list(tile), int(rng.integers(2**31)), self.patch_size)
            if cv2.meanStdDev(sharp)[1].max() >= NEARLY_CONSTANT:
                break
        channels = self.augment.draw_channels(rng)
        return blur[..., channels], sharp[..., channels]

    def _blurred(self, tile: Photo, index: int, rng: np.random.Generator) -> tuple[Photo, Photo]:
        drawn = self.recipe.draw(rng, self.severity(index) if self.severity else 1.0)
        margin = self.recipe.margin(drawn)
        for _ in range(TRIES):
            crop = draw_crop(tile[0], self.patch_size + 2 * margin, self.augment, rng)
            if cv2.meanStdDev(crop)[1].max() >= NEARLY_CONSTANT:
                break
        return self.recipe.apply(crop, drawn, margin)
