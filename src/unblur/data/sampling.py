"""The order of training samples: numbers that only count up, so a stopped run continues with the very next one."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from unblur.errors import UnblurError


class StatelessSampler(Sampler[int]):
    """Yields `epoch * samples_per_epoch + i`, where i = rank, rank + world_size, ...

    What a number means is the dataset's business: `SharpCrops[i]` is a function of its seed and i alone. So the samples
    of a step depend neither on the number of workers nor on what was drawn before. Every rank gets the same number
    of samples; those that cannot be shared out evenly are left to the next epoch's place in the count.

    Args:
        samples_per_epoch: of all ranks together.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(self, samples_per_epoch: int, rank: int = 0, world_size: int = 1) -> None:
        if not 0 <= rank < world_size or samples_per_epoch < world_size:
            msg = (
                f"sampler: got {samples_per_epoch} samples an epoch, rank {rank}, world size {world_size}; "
                "expected 0 <= rank < world size <= samples"
            )
            raise UnblurError(msg)
        self.samples_per_epoch = samples_per_epoch
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.done = (0, 0)

    def skip(self, epoch: int, done: int) -> None:
        """Leave out this rank's first `done` samples of one epoch: a run was stopped there."""
        self.done = (epoch, done)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning does so by itself, also when a run is resumed."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.samples_per_epoch + self.rank
        done = self.done[1] if self.done[0] == self.epoch else 0
        yield from range(first + done * self.world_size, first + len(self) * self.world_size, self.world_size)

    def __len__(self) -> int:
        return self.samples_per_epoch // self.world_size


class ShuffledPasses:
    """Tells which tile sample i is, for tiles that lie in shards: shuffled, yet never far apart on disk or network.

    Samples 0 to N - 1 are a pass over all N tiles, each exactly once; so are the next N, in another order. A pass goes
    through the shards in a random order, and through the tiles of `window` shards at a time in a random order: to read
    it, nobody needs more than a few shards at hand. The order is a function of (seed, i) alone.

    Args:
        tiles: number of tiles of each shard.
        seed: of the order.
        window: shards that are shuffled together. It decides the order, so it does not follow a cache's size.
    """

    def __init__(self, tiles: Sequence[int], seed: int, window: int = 8) -> None:
        self.counts = np.asarray(tiles, dtype=np.int64)
        self.firsts = np.cumsum(self.counts) - self.counts
        self.total = int(self.counts.sum())
        self.seed = seed
        self.window = window
        # What the last sample needed: the next one nearly always needs it again.
        self._pass: tuple[int, NDArray[np.int64], NDArray[np.int64]] = (-1, self.counts, self.counts)
        self._tiles: tuple[tuple[int, int], NDArray[np.int64]] = ((-1, -1), self.counts)

    def __call__(self, index: int) -> int:
        """Return the number of the tile, 0 to N - 1, counted through the shards."""
        number, place = divmod(index, self.total)
        if self._pass[0] != number:
            shards = np.random.default_rng((self.seed, number, 1)).permutation(len(self.counts))
            starts = np.cumsum(self.counts[shards]) - self.counts[shards]
            self._pass = number, shards, starts[:: self.window]
        _, shards, starts = self._pass
        window = int(np.searchsorted(starts, place, side="right")) - 1
        if self._tiles[0] != (number, window):
            chosen = shards[window * self.window : (window + 1) * self.window]
            tiles = [np.arange(self.firsts[shard], self.firsts[shard] + self.counts[shard]) for shard in chosen]
            rng = np.random.default_rng((self.seed, number, 2, window))
            self._tiles = (number, window), rng.permutation(np.concatenate(tiles))
        return int(self._tiles[1][place - int(starts[window])])
