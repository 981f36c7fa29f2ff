"""unblur prepare: make the validation and test pairs from the sharp photographs, once and with fixed seeds."""

from collections import Counter
from pathlib import Path

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.stages.console import show_table, tracker, what_next


@stage
def main(cfg: PipelineConfig) -> None:
    """Photographs -> pairs of every split in `data.pairs_per_photo` -> manifest.csv and sources.csv."""
    from unblur.config.instantiate import instantiate
    from unblur.data.manifest import read_sources, write_source_index
    from unblur.data.pairs import prepare_pairs

    data_root, prepared_root = Path(cfg.paths.data), Path(cfg.paths.prepared)
    sources = [source for source in read_sources(data_root) if source.file not in cfg.data.exclude]
    rows = prepare_pairs(
        sources,
        data_root,
        prepared_root,
        recipe=instantiate(cfg.blur),
        pairs_per_photo=cfg.data.pairs_per_photo,
        max_side=cfg.data.max_side,
        seed=cfg.data.pairs_seed,
        track=tracker("blurring"),
    )
    write_source_index(prepared_root, sources)

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


if __name__ == "__main__":
    main()
