"""The order of training samples: numbers that only count up, so a stopped run continues with the very next one."""

from collections.abc import Iterator

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

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning does so by itself, also when a run is resumed."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.samples_per_epoch + self.rank
        yield from range(first, first + len(self) * self.world_size, self.world_size)

    def __len__(self) -> int:
        return self.samples_per_epoch // self.world_size
