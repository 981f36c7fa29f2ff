"""The DataModule: training crops that are drawn anew each time, validation pairs that never change."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from unblur.config.schema import PipelineConfig
from unblur.data.datasets import Pairs
from unblur.data.manifest import read_manifest
from unblur.data.mixing import MixingCollate
from unblur.data.pictures import check_task
from unblur.data.progressive import AnyPatch, ProgressiveBatches
from unblur.data.sampling import StatelessSampler
from unblur.errors import UnblurError
from unblur.training.crops import training_crops

if TYPE_CHECKING:
    from unblur.training.crops import Crops


class RestorationData(L.LightningDataModule):
    """Serves the training and validation splits; the test split is evaluation's alone.

    Args:
        crops: of the training split; item i is a function of i alone. See `unblur.training.crops`.
        pairs: of the validation split, whole images.
        batch_size: crops of a step on each process.
        steps_per_epoch: steps of an epoch.
        num_workers: processes that read crops ahead; 0 reads them where the training runs.
        seed: of what mixes the crops of a batch.
        progressive: (until, patch, batch) of `ProgressiveBatches`: patches that grow; None leaves them as they are.
    """

    def __init__(
        self,
        crops: "Crops",
        pairs: Pairs,
        *,
        batch_size: int = 8,
        steps_per_epoch: int = 100,
        num_workers: int = 0,
        seed: int = 0,
        progressive: tuple[Sequence[int], Sequence[int], Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.crops, self.pairs = crops, pairs
        self.batch_size, self.steps_per_epoch, self.num_workers = batch_size, steps_per_epoch, num_workers
        self.seed, self.progressive = seed, progressive
        self._stopped = {"epoch": 0, "steps": 0}

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of crops; an epoch is `steps_per_epoch` steps on each process.

        A training that goes on from the middle of an epoch gets the rest of it.
        """
        world, rank = self._world()
        samples = self.steps_per_epoch * self.batch_size * world
        workers = self.num_workers
        if self.progressive is not None:
            return self._progressive(*self.progressive, rank=rank, world=world)
        sampler = StatelessSampler(samples, rank=rank, world_size=world)
        sampler.skip(self._stopped["epoch"], self._stopped["steps"] * self.batch_size)
        return DataLoader(
            self.crops,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=self._collate(),
            persistent_workers=workers > 0,
            prefetch_factor=8 if workers else None,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread if workers else None,
            drop_last=True,
        )

    def _progressive(
        self, until: Sequence[int], patch: Sequence[int], batch: Sequence[int], *, rank: int, world: int
    ) -> DataLoader[Any]:
        workers = self.num_workers
        batches = ProgressiveBatches(
            until, patch, batch, steps_per_epoch=self.steps_per_epoch, rank=rank, world_size=world
        )
        batches.skip(self._stopped["epoch"], self._stopped["steps"])
        return DataLoader(
            AnyPatch(self.crops),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=self._collate(),
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread if workers else None,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """One whole pair at a time, as their sizes differ; shared out over the processes."""
        world, rank = self._world()
        share = range(rank, len(self.pairs), world) or [rank % len(self.pairs)]  # no process may have none
        return DataLoader(self.pairs, batch_size=1, sampler=share)

    def state_dict(self) -> dict[str, int]:
        """Return the place in the training that a checkpoint stands for."""
        if self.trainer is None:
            return self._stopped
        steps = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed
        return {"epoch": self.trainer.current_epoch, "steps": steps}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on at that place."""
        self._stopped = state_dict

    def _collate(self) -> MixingCollate | None:
        augment = self.crops.augment
        mixes = augment.cutblur or augment.mixup
        return MixingCollate(augment.cutblur, augment.mixup, self.seed) if mixes else None

    def _world(self) -> tuple[int, int]:
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def restoration_data(cfg: PipelineConfig) -> RestorationData:
    """Return the data that a configuration names: data, blur, augment, paths and seed are read.

    Raises:
        UnblurError: there are no validation pairs, or no training crops, or they are not for `data.task`.
    """
    prepared = Path(cfg.paths.prepared)
    rows = [row for row in read_manifest(prepared) if row.split == "val"]
    if not rows:
        msg = f"{prepared / 'manifest.csv'}: no pair of the split val; see data.pairs_per_photo, or import again"
        raise UnblurError(msg)
    check_task(rows, prepared, cfg.data.task)
    pairs = Pairs(rows, prepared)
    stages = cfg.data.progressive
    return RestorationData(
        training_crops(cfg),
        pairs,
        batch_size=cfg.data.batch_size,
        steps_per_epoch=cfg.data.steps_per_epoch,
        num_workers=cfg.data.num_workers,
        seed=cfg.seed,
        progressive=(stages.until, stages.patch, stages.batch) if stages.until else None,
    )


def _one_thread(worker: int) -> None:
    """A worker shall not compete with the training step for all cores."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
