"""`unblur report`: the HTML page, and the figures and plot data that DVC compares."""

import json
from pathlib import Path

from unblur.config.descent import require_descent
from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig


@stage
def main(cfg: PipelineConfig) -> None:
    """Read the artifacts of the other stages and write report.html, metrics.json and plots/ into `paths.reports`."""
    from unblur.console import show_table, what_next
    from unblur.records.training import write_history
    from unblur.reporting.artifacts import headline, read_artifacts
    from unblur.reporting.plot_data import write_strength_gain
    from unblur.reporting.report import write_report
    from unblur.safety.atomic import replacing
    from unblur.safety.owned import REPORTS, claim_folder

    require_descent(cfg.paths, "report")
    reports = Path(cfg.paths.reports)
    claim_folder(reports, REPORTS)
    artifacts = read_artifacts(cfg.paths)
    figures = headline(artifacts)
    write_report(reports / "report.html", artifacts)
    write_strength_gain(reports / "plots" / "strength_gain.csv", artifacts.scores, artifacts.profiles[0])
    write_history(reports / "plots" / "training.csv", artifacts.history)
    with replacing(reports / "metrics.json") as unfinished:
        unfinished.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")

    show_table("Report", ["figure", "value"], [[name, f"{value:g}"] for name, value in figures.items()])
    what_next(
        f"open {reports / 'report.html'}     the table, panels and plots on one page",
        "dvc metrics diff     what changed since the last commit",
        "dvc plots show     the curves",
    )


if __name__ == "__main__":
    main()
