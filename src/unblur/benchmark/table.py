"""One row for each model, runtime and size: what latency.csv holds."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unblur.benchmark.candidates import REFERENCE, Candidate
from unblur.benchmark.latency import Latency
from unblur.benchmark.memory import FreshStart
from unblur.benchmark.quality import Quality
from unblur.records.latency import LatencyRow


def join(
    latencies: Sequence[Latency],
    fresh: Mapping[str, Sequence[FreshStart]],
    entered: Mapping[str, Candidate],
    threads: int,
    quality: Mapping[str, Quality],
) -> list[LatencyRow]:
    """Put together what was measured for each candidate and size.

    Args:
        latencies: of every candidate and size.
        fresh: by the candidate's name.
        entered: the candidates by name.
        threads: that were used.
        quality: on the validation pairs, by the candidate's name.
    """
    starts = {(name, start.height, start.width): start for name, found in fresh.items() for start in found}
    rows = []
    for timed in latencies:
        candidate = entered[timed.name]
        start = starts[timed.name, timed.height, timed.width]
        rows.append(
            LatencyRow(
                candidate.model.name,
                candidate.runtime.name,
                timed.height,
                timed.width,
                threads,
                round(timed.median_ms, 2),
                round(timed.spread_ms, 2),
                round(start.load_ms, 1),
                round(start.first_ms, 2),
                round(start.peak_mb, 1),
                round(_megabytes(candidate.file), 3),
                round(quality[timed.name].psnr, 4),
                round(quality[timed.name].ssim, 5),
                round(quality[timed.name].colour_shift, 4),
                round(quality[timed.name].lost_db, 4),
            )
        )
    return rows


def speed_against_eager(rows: Iterable[LatencyRow]) -> dict[LatencyRow, float]:
    """Return how many times as fast as the trained network in eager PyTorch each row is at its size."""
    rows = list(rows)
    eager = {(row.height, row.width): row.median_ms for row in rows if f"{row.variant} {row.runtime}" == REFERENCE}
    return {row: eager[row.height, row.width] / row.median_ms for row in rows}


def _megabytes(path: Path) -> float:
    """Return the size of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    return sum(item.stat().st_size for item in files) / 1e6
