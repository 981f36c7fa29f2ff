"""Patches that grow while training goes on, and batches that shrink with them (Restormer, Zamir et al. 2022)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from torch.utils.data import Dataset, Sampler

from unblur.errors import UnblurError

Place = tuple[int, int]
"""The number of a sample, and the side of its patch in pixels."""


class ProgressiveBatches(Sampler[list[Place]]):
    """Batches of (sample, patch size), whose size and patch depend on the epoch alone.

    Samples count up through all epochs and over all ranks, as those of `unblur.data.sampling.StatelessSampler`.

    Args:
        until: the epochs at which each stage ends; the last stage goes on for ever.
        patch: side of the patches of each stage in pixels.
        batch: samples of a batch of each stage, on each rank.
        steps_per_epoch: batches of an epoch.
        rank: of this process.
        world_size: number of processes.

    Raises:
        UnblurError: the three lists differ in length, or the ends do not grow.
    """

    def __init__(
        self,
        until: Sequence[int],
        patch: Sequence[int],
        batch: Sequence[int],
        *,
        steps_per_epoch: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        lengths = {len(until), len(patch), len(batch)}
        if len(lengths) > 1 or not until or any(a >= b for a, b in pairwise(until)) or min(*patch, *batch, *until) < 1:
            got = f"until {list(until)}, patch {list(patch)}, batch {list(batch)}"
            msg = f"data.progressive: got {got}; expected three lists of one length, numbers from 1, growing ends"
            raise UnblurError(msg)
        self.until, self.patch, self.batch = list(until), list(patch), list(batch)
        self.steps_per_epoch = steps_per_epoch
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.done = (0, 0)
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning does so by itself, also when a run is resumed."""
        self.epoch = epoch

    def skip(self, epoch: int, done: int) -> None:
        """Leave out the first `done` batches of one epoch: a run was stopped there."""
        self.done = (epoch, done)

    def stage(self, epoch: int) -> int:
        """Return the number of the stage that an epoch belongs to."""
        return next((i for i, end in enumerate(self.until) if epoch < end), len(self.until) - 1)

    def __iter__(self) -> Iterator[list[Place]]:
        stage = self.stage(self.epoch)
        size = self.batch[stage] * self.world_size
        before = sum(self.batch[self.stage(epoch)] for epoch in range(self.epoch))
        first = before * self.world_size * self.steps_per_epoch
        done = self.done[1] if self.done[0] == self.epoch else 0
        for step in range(done, self.steps_per_epoch):
            start = first + step * size
            yield [(sample, self.patch[stage]) for sample in range(start + self.rank, start + size, self.world_size)]

    def __len__(self) -> int:
        return self.steps_per_epoch


class AnyPatch(Dataset[Any]):
    """Crops of the patch size that each sample asks for."""

    def __init__(self, crops: Any) -> None:  # noqa: ANN401 (any of the datasets of crops)
        self.crops = crops

    def __getitem__(self, place: Place) -> Any:  # noqa: ANN401
        index, self.crops.patch_size = place
        return self.crops[index]
