"""Where training crops come from: sharp photographs, pairs that exist, or shards of either."""

from pathlib import Path
from typing import Any

from unblur.blur.recipe import SeverityRamp
from unblur.config.instantiate import instantiate
from unblur.config.schema import DataConfig, PipelineConfig
from unblur.data.datasets import SharpCrops
from unblur.data.imported import read_imported
from unblur.data.manifest import read_sources
from unblur.data.paired_crops import PairedCrops
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import ShardedCrops, Shards
from unblur.errors import UnblurError


def training_crops(cfg: PipelineConfig) -> SharpCrops | PairedCrops | ShardedCrops:
    """Return crops of the training split: out of `data.shards`, of imported pairs, or of sharp photographs.

    Raises:
        UnblurError: there are none, or `data.task` asks for more than single images.
    """
    if cfg.data.task != "image" or cfg.data.frames != 1:
        msg = (
            f"data.task={cfg.data.task} with {cfg.data.frames} frames: only single images can be trained on; "
            "set data.task=image data.frames=1, each frame is an image then"
        )
        raise UnblurError(msg)
    options: dict[str, Any] = {
        "augment": instantiate(cfg.augment),
        "patch_size": cfg.data.patch_size,
        "length": cfg.data.steps_per_epoch * cfg.data.batch_size,
        "seed": cfg.seed,
    }
    blur = {
        "recipe": instantiate(cfg.blur),
        "severity": SeverityRamp(cfg.data.severity.start, cfg.data.severity.samples),
    }
    if cfg.data.shards:
        return ShardedCrops(Shards(shard_store(cfg.data)), **blur, **options)
    if cfg.data.manifest:
        dataset = read_imported(Path(cfg.data.manifest), Path(cfg.data.root) if cfg.data.root else None)
        dataset = dataset.without(cfg.data.exclude)
        root, sources = dataset.root, dataset.sources()
        if pairs := [row for row in dataset.rows if row.split == "train" and row.blur]:
            return PairedCrops(pairs, root, **options)
    else:
        root = Path(cfg.paths.data)
        sources = [source for source in read_sources(root) if source.file not in cfg.data.exclude]
    training = [source for source in sources if source.split == "train"]
    if not training:
        msg = f"{root}: holds nothing of the training split; run `unblur data starter`, or `unblur data import`"
        raise UnblurError(msg)
    return SharpCrops(training, root, **blur, **options)


def shard_store(data: DataConfig) -> ShardStore:
    """Return the place of `data.shards`, and of the cache for it."""
    return ShardStore(str(data.shards), Path(data.shard_cache), int(data.shard_cache_gb * 1e9))
