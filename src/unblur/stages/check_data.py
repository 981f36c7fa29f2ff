"""`unblur check-data`: refuse a dataset that would poison training."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError, UsageError

if TYPE_CHECKING:
    from unblur.ingest.check import DataReport
    from unblur.ingest.sources.source import PairSource

OFFENDERS = 30  # on the contact sheet


def run(cfg: PipelineConfig) -> None:
    """Check every file of the dataset, write reports/data.json and show what is wrong."""
    from unblur.console import console, escape, show_table
    from unblur.ingest.check import write_report
    from unblur.safety.owned import REPORTS, claim_folder

    target = Path(cfg.paths.reports) / "data.json"
    claim_folder(target.parent, REPORTS)
    started = time.monotonic()
    report, root = check(cfg)
    speed = report.pictures / max(1e-3, time.monotonic() - started)
    write_report(report, target)
    if report.findings:
        rows = [
            [escape(text) for text in (item.file, item.severity, item.problem, item.detail)] for item in report.findings
        ]
        show_table(f"Findings in {escape(str(root))}", ["file", "severity", "problem", "detail"], rows)
    show_offenders(report, root, target.with_name("data_offenders.png"))
    splits = ", ".join(f"{name} {count}" for name, count in report.splits.items()) or "no splits"
    console.print(
        f"{report.pictures} pictures ({escape(splits)}), {report.others} other files, {speed:.0f} pictures/s; "
        f"written to {escape(str(target))}",
        soft_wrap=True,
    )
    if errors := report.count("error"):
        first = next(item for item in report.findings if item.severity == "error")
        msg = (
            f"{errors} of the findings would poison training, the first: {first.file}, {first.problem}. "
            "Mend or remove the files, or name them in data.exclude."
        )
        raise UnblurError(msg)


def check(cfg: PipelineConfig) -> "tuple[DataReport, Path]":
    """Check the source of the pairs; return the folder of its files too."""
    from unblur.config.instantiate import instantiate
    from unblur.console import tracker

    source: PairSource = instantiate(cfg.data.source)
    return source.check(cfg.data, cfg.check, tracker), source.folder


def show_offenders(report: "DataReport", root: Path, path: Path) -> None:
    """Write the pictures that something is wrong with as a contact sheet; without any, there is none."""
    from unblur.console import console, escape
    from unblur.ingest.contact_sheet import Tile, write_contact_sheet
    from unblur.ingest.layouts.layout import is_picture

    path.unlink(missing_ok=True)
    found = [item for item in report.findings if is_picture(Path(item.file)) and (root / item.file).is_file()]
    if not found:
        return
    tiles = [
        Tile(f"{item.problem}: {item.file}", item.detail, [root / name for name in (item.file, item.other) if name])
        for item in found[:OFFENDERS]
    ]
    write_contact_sheet(path, tiles)
    console.print(f"{len(tiles)} of {len(found)} offenders as thumbnails: {escape(str(path))}", soft_wrap=True)


@stage
def main(cfg: PipelineConfig) -> None:
    """Check the dataset."""
    run(cfg)


def _manifest_option() -> None:
    """Take `--manifest FILE` for that import, as data=pairs unless another data is chosen."""
    if "--manifest" in sys.argv:
        at = sys.argv.index("--manifest")
        if at + 1 >= len(sys.argv):
            msg = "--manifest needs a file: the output of `unblur data import`"
            raise UsageError(msg)
        chosen = [] if any(item.startswith("data=") for item in sys.argv) else ["data=pairs"]
        sys.argv[at : at + 2] = [*chosen, f"data.source.manifest='{sys.argv[at + 1]}'"]


if __name__ == "__main__":
    from unblur.config.entry import exit_codes

    with exit_codes():
        _manifest_option()
    main()
