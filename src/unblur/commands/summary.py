"""`unblur summary`: what the pipeline has reached, in one table; `make repro` ends with it."""

from typing import TYPE_CHECKING

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig

if TYPE_CHECKING:
    from unblur.records.latency import LatencyRow
    from unblur.records.scores import Evaluation


def run(cfg: PipelineConfig) -> None:
    """Show the methods side by side, the registered versions, and where to look next."""
    from unblur.config.root import project_root
    from unblur.console import console, show_table, what_next
    from unblur.records.latency import FILE, deployed, read_latency
    from unblur.records.scores import MODEL, read_evaluation

    root = project_root()
    metrics = read_evaluation(root / cfg.paths.evaluate)
    benchmark = root / cfg.paths.benchmark
    latency = deployed(read_latency(benchmark)) if (benchmark / FILE).is_file() else None
    profiles = list(metrics.test[MODEL])
    speed = f"ms, {latency.width}x{latency.height}" if latency else "latency"
    show_table(
        f"Mean over {metrics.pairs} test pairs",
        ["method", *profiles, "s/Mpx", "MB", speed],
        [method_row(method, metrics, profiles, latency) for method in metrics.test],
    )
    if latency:
        which = f"{latency.variant}, {latency.runtime}, {latency.threads} threads"
        console.print(f"MB and ms: {which}. s/Mpx: as in the evaluation.")
    aliases = read_registry(cfg.registry.model_name)
    for number in sorted(set(aliases.values()), reverse=True):
        held = ", ".join(alias for alias in sorted(aliases) if aliases[alias] == number)
        console.print(f"[bold]{cfg.registry.model_name} v{number}[/bold]: {held}")
    if not aliases:
        console.print(f"{cfg.registry.model_name} is not registered yet: `unblur register`.")
    lines = [
        "make ui     runs, curves and the registry in MLflow",
        'dvc exp run -S \'overrides=["experiment=starter","seed=1"]\'     try another setting, then dvc exp show',
    ]
    if "champion" in aliases:
        model = f"models:/{cfg.registry.model_name}@champion"
        lines.insert(0, f"unblur restore IN OUT --model {model}     sharpen your own photographs")
    report = root / cfg.paths.reports / "report.html"
    if report.is_file():
        lines.insert(0, f"{report}     the report: figures, panels, plots")
    what_next(*lines)


def method_row(method: str, metrics: "Evaluation", profiles: list[str], latency: "LatencyRow | None") -> list[str]:
    """Return the cells of one method; size and latency are those of the exported model."""
    means = metrics.test[method]
    figures = [f"{means[name]:.2f}" if name.startswith("psnr") else f"{means[name]:.4f}" for name in profiles]
    seconds = metrics.seconds_per_megapixel.get(method)
    exported = ["", ""]
    if method == "model" and latency:
        exported = [f"{latency.file_mb:.1f}", f"{latency.median_ms:.0f}"]
    return [method, *figures, "-" if seconds is None else f"{seconds:.2f}", *exported]


def read_registry(name: str) -> dict[str, int]:
    """Return alias -> version; empty, and nothing is created, where there is no store yet."""
    from unblur.config.tracking import store_errors, store_file, tracking_client

    file = store_file()
    if file and not file.is_file():
        return {}
    from unblur.registry.versions import read_aliases

    with store_errors():
        return read_aliases(tracking_client(), name)


@stage
def main(cfg: PipelineConfig) -> None:
    """Show what the pipeline has reached."""
    run(cfg)


if __name__ == "__main__":
    main()
