"""The DataModule: training crops that are drawn anew each time, validation pairs that never change."""

from pathlib import Path
from typing import Any

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


class RestorationData(L.LightningDataModule):
    """Serves the training and validation splits; the test split is evaluation's alone.

    Args:
        cfg: data, blur, augment, paths and seed are read.
    """

    def __init__(self, cfg: PipelineConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self._stopped = {"epoch": 0, "steps": 0}
        prepared = Path(cfg.paths.prepared)
        rows = [row for row in read_manifest(prepared) if row.split == "val"]
        if not rows:
            msg = f"{prepared / 'manifest.csv'}: no pair of the split val; see data.pairs_per_photo, or import again"
            raise UnblurError(msg)
        check_task(rows, prepared, cfg.data.task)
        self.pairs = Pairs(rows, prepared)
        self.crops = training_crops(cfg)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of crops; an epoch is `steps_per_epoch` steps on each process.

        A training that goes on from the middle of an epoch gets the rest of it.
        """
        world, rank = self._world()
        samples = self.cfg.data.steps_per_epoch * self.cfg.data.batch_size * world
        workers = self.cfg.data.num_workers
        if self.cfg.data.progressive.until:
            return self._progressive(rank, world)
        sampler = StatelessSampler(samples, rank=rank, world_size=world)
        sampler.skip(self._stopped["epoch"], self._stopped["steps"] * self.cfg.data.batch_size)
        return DataLoader(
            self.crops,
            batch_size=self.cfg.data.batch_size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=self._collate(),
            persistent_workers=workers > 0,
            prefetch_factor=8 if workers else None,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread if workers else None,
            drop_last=True,
        )

    def _progressive(self, rank: int, world: int) -> DataLoader[Any]:
        stages = self.cfg.data.progressive
        steps, workers = self.cfg.data.steps_per_epoch, self.cfg.data.num_workers
        batches = ProgressiveBatches(
            stages.until, stages.patch, stages.batch, steps_per_epoch=steps, rank=rank, world_size=world
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
        return MixingCollate(augment.cutblur, augment.mixup, self.cfg.seed) if mixes else None

    def _world(self) -> tuple[int, int]:
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def _one_thread(worker: int) -> None:
    """A worker shall not compete with the training step for all cores."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
