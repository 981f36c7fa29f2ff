"""Where training crops come from: the source of the pairs, or shards that were packed of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.blur.recipe import SeverityRamp
from unblur.config.instantiate import instantiate
from unblur.config.schema import DataConfig, PipelineConfig
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import ShardedCrops, Shards
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.data.datasets import SharpCrops
    from unblur.data.paired_crops import PairedCrops
    from unblur.ingest.sources.source import PairSource

    Crops = SharpCrops | PairedCrops | ShardedCrops


def training_crops(cfg: PipelineConfig) -> "Crops":
    """Return crops of the training split: of `data.source`, or out of the shards of `data.shards`.

    Raises:
        UnblurError: there are none, or the blur does not make what `data.task` asks for.
    """
    recipe = instantiate(cfg.blur)
    options: dict[str, Any] = {
        "recipe": recipe,
        "severity": SeverityRamp(cfg.data.severity.start, cfg.data.severity.samples),
        "augment": instantiate(cfg.augment),
        "patch_size": cfg.data.patch_size,
        "length": cfg.data.steps_per_epoch * cfg.data.batch_size,
        "seed": cfg.seed,
    }
    if cfg.data.shards:
        if (makes := getattr(recipe, "kind", "image")) != "image":
            msg = f"data.shards with a blur that makes {makes}s: shards hold single images; leave data.shards out"
            raise UnblurError(msg)
        return ShardedCrops(Shards(shard_store(cfg.data)), **options)
    source: PairSource = instantiate(cfg.data.source)
    return source.crops(cfg.data, cfg.check, **options)


def shard_store(data: DataConfig) -> ShardStore:
    """Return the place of `data.shards`, and of the cache for it."""
    return ShardStore(str(data.shards), Path(data.shard_cache), int(data.shard_cache_gb * 1e9))
