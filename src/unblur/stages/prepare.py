"""`unblur prepare`: make the validation and test pairs, once and with fixed seeds."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.descent import write_lineage
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.console import show_table, tracker, what_next
from unblur.safety.owned import owned_folder

if TYPE_CHECKING:
    from unblur.ingest.sources.source import PairSource


@stage
def main(cfg: PipelineConfig) -> None:
    """The source of `data.source` -> its validation and test pairs and manifest.csv."""
    from unblur.config.instantiate import instantiate
    from unblur.config.presets import network_for

    source: PairSource = instantiate(cfg.data.source)
    listed = source.listed(cfg.data.exclude)
    prepared = Path(cfg.paths.prepared)
    with owned_folder(prepared, "prepare", _settings(cfg), inputs=source.inputs()) as folder:
        rows = source.pairs(folder, cfg.data, cfg.check, recipe=instantiate(cfg.blur), tracker=tracker)
        write_lineage(cfg.paths, "prepare", folder, manifest=source.manifest)

    kinds = list(dict.fromkeys(row.kind for row in rows))
    counts = Counter((row.split, row.kind) for row in rows)
    show_table(
        f"pairs in {prepared}",
        ["split", "listed", *kinds, "pairs"],
        [
            [
                split,
                str(listed[split]),
                *(str(counts[split, kind]) for kind in kinds),
                str(sum(row.split == split for row in rows)),
            ]
            for split in ("train", "val", "test")
        ],
    )
    given = f" data.source.manifest={source.manifest}" if source.manifest else ""
    what_next(
        f"unblur train {network_for(cfg.data.task)}data={cfg.data.name}{given}",
        f"the blur of every pair: {prepared / 'manifest.csv'}",
    )


def _settings(cfg: PipelineConfig) -> dict[str, Any]:
    names = ("task", "frames", "pairs_per_photo", "max_side", "max_pairs", "exclude", "pairs_seed")
    return {"blur": cfg.blur, **{name: getattr(cfg.data, name) for name in names}}


if __name__ == "__main__":
    main()
