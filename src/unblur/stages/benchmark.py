"""`unblur benchmark`: latency, memory, size and quality of every model in every runtime, side by side on the CPU."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.descent import require_descent, write_lineage
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.console import console, show_table, tracker, what_next

if TYPE_CHECKING:
    from unblur.benchmark.choice import Choice
    from unblur.benchmark.quality import Quality
    from unblur.records.chosen import Chosen
    from unblur.records.latency import Complexity, LatencyRow


@stage
def main(cfg: PipelineConfig) -> None:
    """Write latency.csv, complexity.json, chosen.json and pareto.png to artifacts/benchmark; remember the fastest."""
    from unblur.benchmark.candidates import candidates, named
    from unblur.benchmark.choice import choose
    from unblur.benchmark.chosen import chosen, last_choice
    from unblur.benchmark.complexity import complexity
    from unblur.benchmark.latency import measure_latency
    from unblur.benchmark.memory import measure_fresh_start
    from unblur.benchmark.runtimes import in_sequences
    from unblur.benchmark.table import join
    from unblur.export.variants import all_models
    from unblur.records.chosen import write_chosen
    from unblur.records.latency import Complexities, write_complexities, write_latency
    from unblur.reporting.figure import LIGHT
    from unblur.reporting.pareto import draw_pareto
    from unblur.runtimes.choice import remember
    from unblur.safety.atomic import replacing
    from unblur.safety.owned import owned_folder
    from unblur.training.weights import load_model

    settings, folder = cfg.benchmark, Path(cfg.paths.benchmark)
    entered = named(candidates(cfg.paths))
    models = {model.name: model for model in all_models(cfg.paths)}
    require_descent(cfg.paths, "benchmark")

    with owned_folder(folder, "benchmark", asdict(settings)) as new:
        write_lineage(cfg.paths, "benchmark", new)
        fresh = {
            name: measure_fresh_start(entered[name].runtime.name, entered[name].file, settings.sizes, settings.threads)
            for name in tracker("fresh processes")(list(entered))
        }
        restorers = {name: each.runtime.open(each.file, settings.threads) for name, each in entered.items()}
        runs = {name: in_sequences(restorer, restorer.task) for name, restorer in restorers.items()}
        latencies = measure_latency(
            runs, settings.sizes, settings.rounds, settings.warmup, tracker("interleaved rounds")
        )
        rows = join(latencies, fresh, entered, settings.threads, _quality(cfg, restorers))
        deployable = [(each.model.name, each.runtime.name) for each in entered.values() if each.runtime.restored_by]
        choice = choose(
            rows, latencies, deployable, settings.max_lost_db, margin=settings.margin, last=last_choice(folder)
        )
        rows = choice.mark(rows)
        write_latency(rows, new)
        with replacing(new / "pareto.png") as unfinished:
            unfinished.write_bytes(draw_pareto(rows, LIGHT))

        winner = next(row for row in rows if row.chosen)
        found = chosen(entered[f"{winner.variant} {winner.runtime}"], winner, models)
        write_chosen(found, new)
        sizes = {name: complexity(load_model(model.source)) for name, model in models.items() if model.kind == "float"}
        own = sizes[models[found.variant].parent or found.variant] if found.kind != "float" else sizes[found.variant]
        write_complexities(Complexities(own.parameters, own.macs_256, sizes), new)
    remember(found.sha256, found.runtime, found.precision)
    _show(cfg, rows, sizes, found, choice)


def _quality(cfg: PipelineConfig, restorers: Mapping[str, Any]) -> "dict[str, Quality]":
    """Measure what each restorer loses on the validation pairs; the test pairs are not for choosing."""
    from unblur.benchmark.quality import measure_quality
    from unblur.data.manifest import read_manifest
    from unblur.data.pictures import check_task

    prepared = Path(cfg.paths.prepared)
    pairs = [row for row in read_manifest(prepared) if row.split == "val"]
    check_task(pairs, prepared, next(iter(restorers.values())).task)
    return measure_quality(restorers, pairs, prepared, tracker("quality, validation pairs"))


def _show(
    cfg: PipelineConfig,
    rows: Sequence["LatencyRow"],
    sizes: Mapping[str, "Complexity"],
    found: "Chosen",
    choice: "Choice",
) -> None:
    """Show the tables: what the literature tells, and what was measured."""
    from unblur.benchmark.latency import large
    from unblur.benchmark.table import speed_against_eager

    show_table(
        "By the literature's convention",
        ["model", "M parameters", "GMACs at 256x256"],
        [[name, f"{size.parameters / 1e6:.2f}", f"{size.macs_256 / 1e9:.2f}"] for name, size in sizes.items()],
    )
    speed = speed_against_eager(rows)
    for height, width in dict.fromkeys((row.height, row.width) for row in rows):
        tiles = ", in tiles" if large((height, width)) else ""
        show_table(
            f"{width}x{height}{tiles}, {cfg.benchmark.threads} threads, medians of interleaved rounds",
            ["model, runtime", "ms", "x eager", "peak MB", "dB lost"],
            [
                [
                    f"{row.variant}, {row.runtime}" + (" [bold]*[/bold]" if row.chosen else ""),
                    f"{row.median_ms:.0f}",
                    f"{speed[row]:.2f}",
                    f"{row.peak_mb:.0f}",
                    f"{row.lost_db:+.3f}",
                ]
                for row in rows
                if (row.height, row.width) == (height, width)
            ],
        )
    console.print("* is deployed; x eager: times as fast as the trained network in PyTorch, without any setting")
    console.print(
        f"[bold]{found.variant}, {found.runtime} {found.precision}[/bold] of those that lose at most "
        f"{cfg.benchmark.max_lost_db:g} dB on the validation pairs ({found.lost_db:+.3f} dB): {choice.why}"
    )
    if len(choice.tied) > 1:
        console.print(f"not told apart from the fastest: {'; '.join(', '.join(name) for name in choice.tied)}")
    folder = Path(cfg.paths.benchmark)
    what_next(
        f"{folder / 'latency.csv'}, {folder / 'pareto.png'}: every figure, and quality against latency",
        "unblur report: the whole pipeline on one page; unblur register: what was chosen goes to the gate",
        "unblur benchmark benchmark.sizes=[[1080,1920]] benchmark.threads=4",
    )


if __name__ == "__main__":
    main()
