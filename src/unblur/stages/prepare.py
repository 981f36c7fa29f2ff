"""unblur prepare: make the validation and test pairs from the sharp photographs, once and with fixed seeds."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.descent import write_lineage
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.console import show_table, tracker, what_next
from unblur.safety.owned import owned_folder

if TYPE_CHECKING:
    from unblur.ingest.imported import Imported


@stage
def main(cfg: PipelineConfig) -> None:
    """Photographs -> pairs of every split in `data.pairs_per_photo` -> manifest.csv and sources.csv."""
    from unblur.config.instantiate import instantiate
    from unblur.data.manifest import read_sources, write_source_index
    from unblur.data.pairs import prepare_pairs
    from unblur.ingest.imported import read_imported

    data_root, prepared_root = Path(cfg.paths.data), Path(cfg.paths.prepared)
    if cfg.data.manifest:
        dataset = read_imported(Path(cfg.data.manifest), Path(cfg.data.root) if cfg.data.root else None)
        dataset = dataset.without(cfg.data.exclude)
        if dataset.has_pairs:
            bring(cfg, dataset, prepared_root)
            return
        data_root, sources = dataset.root, dataset.sources()
    else:
        sources = [source for source in read_sources(data_root) if source.file not in cfg.data.exclude]
    with owned_folder(prepared_root, "prepare", _settings(cfg), inputs=_inputs(cfg, data_root)) as folder:
        rows = prepare_pairs(
            sources,
            data_root,
            folder,
            recipe=instantiate(cfg.blur),
            pairs_per_photo=cfg.data.pairs_per_photo,
            max_side=cfg.data.max_side,
            seed=cfg.data.pairs_seed,
            track=tracker("blurring"),
        )
        write_source_index(folder, sources)
        write_lineage(cfg.paths, "prepare", folder, manifest=cfg.data.manifest)

    photos = Counter(source.split for source in sources)
    kinds = list(dict.fromkeys(row.kind for row in rows))
    counts = Counter((row.split, row.kind) for row in rows)
    show_table(
        f"pairs in {prepared_root}",
        ["split", "photos", *kinds, "pairs"],
        [
            [
                split,
                str(photos[split]),
                *(str(counts[split, kind]) for kind in kinds),
                str(sum(row.split == split for row in rows)),
            ]
            for split in ("train", "val", "test")
        ],
    )
    what_next("unblur train", f"the blur of every pair: {prepared_root / 'manifest.csv'}")


def bring(cfg: PipelineConfig, dataset: "Imported", prepared_root: Path) -> None:
    """Imported pairs of validation and test -> the prepared folder; those of training stay where they are."""
    from unblur.config.suggest import network_for
    from unblur.ingest.imported_pairs import bring_pairs, bring_sequences

    limits: dict[str, Any] = {"max_side": cfg.data.max_side, "max_pairs": cfg.data.max_pairs, "limits": cfg.check}
    task, frames, track = cfg.data.task, cfg.data.frames, tracker("copying pairs")
    with owned_folder(prepared_root, "prepare", _settings(cfg), inputs=_inputs(cfg, dataset.root)) as folder:
        if task == "image":
            brought = bring_pairs(dataset, folder, **limits, track=track)
        else:
            brought = bring_sequences(dataset, folder, task=task, frames=frames, **limits, track=track)
        write_lineage(cfg.paths, "prepare", folder, manifest=cfg.data.manifest)
    there, here = (Counter(row.split for row in rows) for rows in (dataset.rows, brought))
    show_table(
        f"pairs of {cfg.data.manifest}",
        ["split", "pairs", "brought"],
        [[split, str(there[split]), str(here[split])] for split in ("train", "val", "test")],
    )
    what_next(
        f"unblur train {network_for(cfg.data.task)}data={cfg.data.name} data.manifest={cfg.data.manifest}",
        f"its test pairs: {prepared_root}",
    )


def _settings(cfg: PipelineConfig) -> dict[str, Any]:
    names = ("task", "frames", "pairs_per_photo", "max_side", "max_pairs", "exclude", "pairs_seed")
    return {"blur": cfg.blur, **{name: getattr(cfg.data, name) for name in names}}


def _inputs(cfg: PipelineConfig, data_root: Path) -> list[Path]:
    return [data_root, *([Path(cfg.data.manifest)] if cfg.data.manifest else [])]


if __name__ == "__main__":
    main()
