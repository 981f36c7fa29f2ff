"""One row for each runtime and size: what latency.csv holds."""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from unblur.benchmark.latency import Latency
from unblur.benchmark.memory import FreshStart
from unblur.benchmark.quality import Quality
from unblur.benchmark.variants import EAGER
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing


@dataclass(frozen=True)
class BenchmarkRow:
    """Times in milliseconds, sizes in 10^6 bytes; `load_ms`, `first_ms` and `peak_mb` come from a fresh process.

    `psnr`, `ssim` and `colour_shift` are means of the test pairs, `lost_db` that of the validation pairs (see
    `unblur.benchmark.quality`), which decide: `chosen` is "yes" for the variant that is deployed.
    """

    runtime: str
    height: int
    width: int
    threads: int
    median_ms: float
    spread_ms: float
    load_ms: float
    first_ms: float
    peak_mb: float
    file_mb: float
    psnr: float
    ssim: float
    colour_shift: float
    lost_db: float
    chosen: str = ""


def join(
    latencies: Sequence[Latency],
    fresh: Mapping[str, Sequence[FreshStart]],
    files: Mapping[str, Path],
    threads: int,
    quality: Mapping[str, Mapping[str, Quality]],
) -> list[BenchmarkRow]:
    """Put together what was measured for each runtime and size.

    Args:
        latencies: of every runtime and size.
        fresh: by runtime.
        files: by runtime, what it loads.
        threads: that were used.
        quality: by split, "test" and "val", and by runtime.
    """
    test, validation = quality["test"], quality["val"]
    starts = {(name, start.height, start.width): start for name, found in fresh.items() for start in found}
    rows = []
    for timed in latencies:
        start = starts[timed.runtime, timed.height, timed.width]
        rows.append(
            BenchmarkRow(
                timed.runtime,
                timed.height,
                timed.width,
                threads,
                round(timed.median_ms, 2),
                round(timed.spread_ms, 2),
                round(start.load_ms, 1),
                round(start.first_ms, 2),
                round(start.peak_mb, 1),
                round(_megabytes(files[timed.runtime]), 3),
                round(test[timed.runtime].psnr, 4),
                round(test[timed.runtime].ssim, 5),
                round(test[timed.runtime].colour_shift, 4),
                round(validation[timed.runtime].lost_db, 4),
            )
        )
    return rows


def choose(rows: Sequence[BenchmarkRow], candidates: Collection[str], max_lost_db: float) -> list[BenchmarkRow]:
    """Return the rows, those marked that belong to the fastest candidate at the largest size within the budget.

    Args:
        rows: of `join`.
        candidates: names of variants that can be deployed.
        max_lost_db: what a variant may lose on the validation pairs.

    Raises:
        UnblurError: no candidate keeps to the budget.
    """
    largest = max(row.height * row.width for row in rows)
    kept = [row for row in rows if row.runtime in candidates and row.lost_db <= max_lost_db]
    if not kept:
        lost = ", ".join(f"{row.runtime} {row.lost_db:.3f}" for row in rows if row.runtime in candidates)
        msg = f"no variant loses at most {max_lost_db:g} dB on the validation pairs ({lost}); raise the limit"
        raise UnblurError(msg)
    best = min((row for row in kept if row.height * row.width == largest), key=lambda row: row.median_ms).runtime
    return [replace(row, chosen="yes") if row.runtime == best else row for row in rows]


def speed_against_eager(rows: Iterable[BenchmarkRow]) -> dict[BenchmarkRow, float]:
    """Return how many times as fast as eager PyTorch each row is at its size; above 1 is faster."""
    rows = list(rows)
    eager = {(row.height, row.width): row.median_ms for row in rows if row.runtime == EAGER}
    return {row: eager[row.height, row.width] / row.median_ms for row in rows}


def write_rows(rows: Sequence[BenchmarkRow], path: Path) -> None:
    """Write the rows as CSV."""
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [field.name for field in fields(BenchmarkRow)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def _megabytes(path: Path) -> float:
    """Return the size of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    return sum(item.stat().st_size for item in files) / 1e6
