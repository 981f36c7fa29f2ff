"""`unblur benchmark`: latency, memory, size and quality of the model in each runtime, side by side on the CPU."""

import json
from dataclasses import asdict
from pathlib import Path

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError
from unblur.stages.console import console, show_table, tracker, what_next


@stage
def main(cfg: PipelineConfig) -> None:
    """Write latency.csv, complexity.json and pareto.png to artifacts/benchmark; remember the fastest here."""
    from unblur.benchmark.complexity import complexity
    from unblur.benchmark.latency import measure_latency
    from unblur.benchmark.memory import measure_fresh_start
    from unblur.benchmark.quality import measure_quality
    from unblur.benchmark.table import choose, join, speed_against_eager, write_rows
    from unblur.benchmark.variants import VARIANTS, in_sequences
    from unblur.data.manifest import read_manifest
    from unblur.data.pictures import check_task
    from unblur.evaluation.plots import LIGHT, draw_pareto
    from unblur.restoring.runtime_choice import remember
    from unblur.safety.atomic import replacing
    from unblur.safety.hashing import sha256_file
    from unblur.training.weights import load_model

    settings = cfg.benchmark
    model, folder = Path(cfg.paths.train) / "model", Path(cfg.paths.benchmark)
    files = {name: variant.file(model, Path(cfg.paths.export)) for name, variant in VARIANTS.items()}
    for file in files.values():
        if not file.exists():
            msg = f"{file} is not there; run `unblur train` and `unblur export` first"
            raise UnblurError(msg)

    size = complexity(load_model(model))
    with replacing(folder / "complexity.json") as unfinished:
        unfinished.write_text(json.dumps(asdict(size), indent=2) + "\n", encoding="utf-8")
    console.print(f"{size.parameters / 1e6:.2f} M parameters, {size.macs_256 / 1e9:.2f} GMACs at 256x256")

    fresh = {
        name: measure_fresh_start(name, files[name], settings.sizes, settings.threads)
        for name in tracker("fresh processes")(list(VARIANTS))
    }
    restorers = {name: variant.open(files[name], settings.threads) for name, variant in VARIANTS.items()}
    runs = {name: in_sequences(restorer, restorer.task) for name, restorer in restorers.items()}
    latencies = measure_latency(runs, settings.sizes, settings.rounds, settings.warmup, tracker("interleaved rounds"))
    prepared = Path(cfg.paths.prepared)
    pairs = read_manifest(prepared)
    quality = {}
    for split in ("val", "test"):
        own = [row for row in pairs if row.split == split]
        check_task(own, prepared, next(iter(restorers.values())).task)
        quality[split] = measure_quality(restorers, own, prepared, tracker(f"quality, {split} pairs"))
    rows = join(latencies, fresh, files, settings.threads, quality)
    rows = choose(rows, [name for name, variant in VARIANTS.items() if variant.runtime], settings.max_lost_db)
    write_rows(rows, folder / "latency.csv")
    with replacing(folder / "pareto.png") as unfinished:
        cells = [{key: str(value) for key, value in asdict(row).items()} for row in rows]
        unfinished.write_bytes(draw_pareto(cells, LIGHT))
    chosen = next(VARIANTS[row.runtime] for row in rows if row.chosen)
    remember(sha256_file(files[chosen.name]), chosen.runtime, chosen.precision)

    speed = speed_against_eager(rows)
    for height, width in dict.fromkeys((row.height, row.width) for row in rows):
        show_table(
            f"{width}x{height}, {settings.threads} threads, median of {settings.rounds} interleaved rounds",
            ["runtime", "ms", "spread", "x eager", "load ms", "peak MB", "dB lost", ""],
            [
                [
                    row.runtime,
                    f"{row.median_ms:.0f}",
                    f"{row.spread_ms:.0f}",
                    f"{speed[row]:.2f}",
                    f"{row.load_ms:.0f}",
                    f"{row.peak_mb:.0f}",
                    f"{row.lost_db:+.3f}",
                    "chosen" if row.chosen else "",
                ]
                for row in rows
                if (row.height, row.width) == (height, width)
            ],
        )
    console.print("x eager: times as fast as PyTorch without any setting; all figures are for the CPU")
    console.print(
        f"{chosen.name} is the fastest that loses at most {settings.max_lost_db:g} dB on the validation pairs"
    )
    what_next(
        f"{folder / 'latency.csv'}: every figure, the first call and the files' sizes too",
        "unblur report: the whole pipeline on one page",
        "unblur benchmark benchmark.sizes=[[1080,1920]] benchmark.threads=4",
    )


if __name__ == "__main__":
    main()
