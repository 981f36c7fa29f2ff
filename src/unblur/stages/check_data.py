"""`unblur check-data`: refuse a dataset that would poison training."""

from pathlib import Path

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError


@stage
def main(cfg: PipelineConfig) -> None:
    """Check every file of the dataset, write reports/data.json and show what is wrong."""
    from unblur.data.check import check_data, write_report
    from unblur.stages.console import console, show_table, tracker

    target = Path(cfg.paths.reports) / "data.json"
    report = check_data(Path(cfg.paths.data), cfg.data.min_side, cfg.data.exclude, tracker("Checking pictures"))
    write_report(report, target)
    if report.findings:
        rows = [(item.file, item.severity, item.problem, item.detail) for item in report.findings]
        show_table(f"Findings in {cfg.paths.data}", ["file", "severity", "problem", "detail"], rows)
    splits = ", ".join(f"{name} {count}" for name, count in report.splits.items()) or "no splits"
    console.print(
        f"{report.pictures} pictures ({splits}), {report.others} other files; written to {target}", soft_wrap=True
    )
    if errors := report.count("error"):
        first = next(item for item in report.findings if item.severity == "error")
        msg = (
            f"{errors} of the findings would poison training, the first: {first.file}, {first.problem}. "
            "Mend or remove the files, or name them in data.exclude."
        )
        raise UnblurError(msg)


if __name__ == "__main__":
    main()
