"""The DataModule: training crops blurred on the fly, validation pairs that never change."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from unblur.blur.recipe import SeverityRamp
from unblur.config.instantiate import instantiate
from unblur.config.schema import PipelineConfig
from unblur.data.datasets import Pairs, SharpCrops
from unblur.data.manifest import read_manifest, read_sources
from unblur.data.sampling import StatelessSampler
from unblur.errors import UnblurError


class RestorationData(L.LightningDataModule):
    """Serves the training and validation splits; the test split is evaluation's alone.

    Args:
        cfg: data, blur, augment, paths and seed are read.
    """

    def __init__(self, cfg: PipelineConfig) -> None:
        super().__init__()
        self.cfg = cfg
        prepared, root = Path(cfg.paths.prepared), Path(cfg.paths.data)
        sources = [source for source in read_sources(root) if source.split == "train"]
        sources = [source for source in sources if source.file not in cfg.data.exclude]
        if not sources:
            msg = f"{root}: holds no photograph of the training split; run `unblur data starter`"
            raise UnblurError(msg)
        self.pairs = Pairs([row for row in read_manifest(prepared) if row.split == "val"], prepared)
        ramp = cfg.data.severity
        self.crops = SharpCrops(
            sources,
            root,
            recipe=instantiate(cfg.blur),
            augment=instantiate(cfg.augment),
            patch_size=cfg.data.patch_size,
            length=cfg.data.steps_per_epoch * cfg.data.batch_size,
            seed=cfg.seed,
            severity=SeverityRamp(ramp.start, ramp.samples) if ramp else None,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of crops; an epoch is `steps_per_epoch` steps on each process."""
        world, rank = self._world()
        samples = self.cfg.data.steps_per_epoch * self.cfg.data.batch_size * world
        workers = self.cfg.data.num_workers
        return DataLoader(
            self.crops,
            batch_size=self.cfg.data.batch_size,
            sampler=StatelessSampler(samples, rank=rank, world_size=world),
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=8 if workers else None,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread if workers else None,
            drop_last=True,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """One whole pair at a time, as their sizes differ; shared out over the processes."""
        world, rank = self._world()
        share = range(rank, len(self.pairs), world) or [rank % len(self.pairs)]  # no process may have none
        return DataLoader(self.pairs, batch_size=1, sampler=share)

    def _world(self) -> tuple[int, int]:
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def _one_thread(worker: int) -> None:
    """A worker shall not compete with the training step for all cores."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
