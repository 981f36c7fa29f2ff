"""The DataModule: training crops blurred on the fly or out of shards, validation pairs that never change."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from unblur.config.instantiate import instantiate
from unblur.config.schema import DataConfig, PipelineConfig
from unblur.data.datasets import Pairs, SharpCrops
from unblur.data.manifest import read_manifest, read_sources
from unblur.data.mixing import MixingCollate
from unblur.data.sampling import StatelessSampler
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import ShardedCrops, Shards
from unblur.errors import UnblurError


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
        self.pairs = Pairs([row for row in read_manifest(prepared) if row.split == "val"], prepared)
        self.crops = self._sharded_crops() if cfg.data.shards else self._sharp_crops()

    def _sharp_crops(self) -> SharpCrops:
        cfg, root = self.cfg, Path(self.cfg.paths.data)
        sources = [source for source in read_sources(root) if source.split == "train"]
        sources = [source for source in sources if source.file not in cfg.data.exclude]
        if not sources:
            msg = f"{root}: holds no photograph of the training split; run `unblur data starter`"
            raise UnblurError(msg)
        return SharpCrops(sources, root, **self._crop_options())

    def _sharded_crops(self) -> ShardedCrops:
        return ShardedCrops(Shards(shard_store(self.cfg.data)), **self._crop_options())

    def _crop_options(self) -> dict[str, Any]:
        cfg = self.cfg
        return {
            "recipe": instantiate(cfg.blur),
            "augment": instantiate(cfg.augment),
            "patch_size": cfg.data.patch_size,
            "length": cfg.data.steps_per_epoch * cfg.data.batch_size,
            "seed": cfg.seed,
        }

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of crops; an epoch is `steps_per_epoch` steps on each process.

        A training that goes on from the middle of an epoch gets the rest of it.
        """
        world, rank = self._world()
        samples = self.cfg.data.steps_per_epoch * self.cfg.data.batch_size * world
        workers = self.cfg.data.num_workers
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


def shard_store(data: DataConfig) -> ShardStore:
    """Return the place of `data.shards`, and of the cache for it."""
    return ShardStore(str(data.shards), Path(data.shard_cache), int(data.shard_cache_gb * 1e9))


def _one_thread(worker: int) -> None:
    """A worker shall not compete with the training step for all cores."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
