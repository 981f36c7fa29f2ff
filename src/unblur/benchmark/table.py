"""One row for each runtime and size: what latency.csv holds."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from unblur.benchmark.latency import Latency
from unblur.benchmark.memory import FreshStart
from unblur.benchmark.variants import EAGER
from unblur.safety.atomic import replacing


@dataclass(frozen=True)
class BenchmarkRow:
    """Times in milliseconds, sizes in 10^6 bytes; `load_ms`, `first_ms` and `peak_mb` come from a fresh process."""

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


def join(
    latencies: Sequence[Latency],
    fresh: Mapping[str, Sequence[FreshStart]],
    files: Mapping[str, Path],
    threads: int,
) -> list[BenchmarkRow]:
    """Put together what was measured for each runtime and size; `fresh` and `files` are by runtime."""
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
            )
        )
    return rows


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
