"""Where training crops come from: sharp photographs, pairs that exist, or shards of either."""

from pathlib import Path
from typing import Any

from unblur.blur.recipe import SeverityRamp
from unblur.config.instantiate import instantiate
from unblur.config.schema import DataConfig, PipelineConfig
from unblur.data.datasets import SharpCrops
from unblur.data.manifest import read_sources
from unblur.data.paired_crops import PairedCrops
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import ShardedCrops, Shards
from unblur.errors import UnblurError
from unblur.ingest.imported import read_imported

Crops = SharpCrops | PairedCrops | ShardedCrops


def training_crops(cfg: PipelineConfig) -> Crops:
    """Return crops of the training split: out of `data.shards`, of imported pairs, or of sharp photographs.

    Raises:
        UnblurError: there are none, or the blur does not make what `data.task` asks for.
    """
    options: dict[str, Any] = {
        "augment": instantiate(cfg.augment),
        "patch_size": cfg.data.patch_size,
        "length": cfg.data.steps_per_epoch * cfg.data.batch_size,
        "seed": cfg.seed,
    }
    recipe = instantiate(cfg.blur)
    makes = getattr(recipe, "kind", "image")
    blur = {
        "recipe": recipe,
        "severity": SeverityRamp(cfg.data.severity.start, cfg.data.severity.samples),
    }
    if cfg.data.shards:
        if makes != "image":
            msg = f"data.shards with a blur that makes {makes}s: shards hold single images; leave data.shards out"
            raise UnblurError(msg)
        return ShardedCrops(Shards(shard_store(cfg.data)), **blur, **options)
    if cfg.data.manifest:
        dataset = read_imported(Path(cfg.data.manifest), Path(cfg.data.root) if cfg.data.root else None)
        dataset = dataset.without(cfg.data.exclude)
        root, sources = dataset.root, dataset.sources()
        if pairs := [row for row in dataset.rows if row.split == "train" and row.blur]:
            options |= {"frames": cfg.data.frames, "burst": cfg.data.task == "burst", "limits": cfg.check}
            return PairedCrops(pairs, root, **options)
    else:
        root = Path(cfg.paths.data)
        sources = [source for source in read_sources(root) if source.file not in cfg.data.exclude]
    if makes != cfg.data.task:
        fitting = "starter" if cfg.data.task == "image" else cfg.data.task
        msg = f"data.task is {cfg.data.task}, but the blur makes pairs for {makes}; set blur={fitting} (see conf/blur)"
        raise UnblurError(msg)
    training = [source for source in sources if source.split == "train"]
    if not training:
        msg = f"{root}: holds nothing of the training split; run `unblur data starter`, or `unblur data import`"
        raise UnblurError(msg)
    return SharpCrops(training, root, **blur, **options)


def shard_store(data: DataConfig) -> ShardStore:
    """Return the place of `data.shards`, and of the cache for it."""
    return ShardStore(str(data.shards), Path(data.shard_cache), int(data.shard_cache_gb * 1e9))
