"""What the benchmark hands on: latency, memory, size and quality in latency.csv, and sizes of networks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unblur.records.files import read_json, read_table, require_rows, write_json, write_table

FILE, COMPLEXITY = "latency.csv", "complexity.json"
WHOLE = 2_000_000
"""Most pixels that the benchmark restores in one piece; more go through in tiles."""
_COMMAND = "benchmark"


@dataclass(frozen=True)
class LatencyRow:
    """One model in one runtime at one size.

    Times are in milliseconds, sizes in 10^6 bytes; `load_ms`, `first_ms` and `peak_mb` come from a fresh process.
    `variant` is the model's name. `psnr`, `ssim`, `colour_shift` and `lost_db` are means of the validation pairs
    (see `unblur.benchmark.quality`), which decide: `chosen` is "yes" for what is deployed.
    """

    variant: str
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

    @property
    def pixels(self) -> int:
        """How many the image has."""
        return self.height * self.width


@dataclass(frozen=True)
class Complexity:
    """Parameters, and multiply-accumulate operations at 256x256 (convolutions and matrix products).

    Of an image; of a video, for each of its frames; of a burst, for each of four shots.
    """

    parameters: int
    macs_256: int


@dataclass(frozen=True)
class Complexities:
    """The size of what is deployed, and of each network by its name."""

    parameters: int
    macs_256: int
    models: dict[str, Complexity] = field(default_factory=dict)


def write_latency(rows: Iterable[LatencyRow], folder: Path) -> None:
    """Write latency.csv."""
    write_table(folder / FILE, LatencyRow, rows)


def read_latency(folder: Path) -> list[LatencyRow]:
    """Read latency.csv.

    Raises:
        UnblurError: the file is missing, empty or broken.
    """
    return require_rows(read_table(folder / FILE, LatencyRow, _COMMAND), folder / FILE, _COMMAND)


def deployed(rows: Sequence[LatencyRow]) -> LatencyRow:
    """Return the row that is marked as chosen, at the largest size that goes through in one piece."""
    found = sorted([row for row in rows if row.chosen] or rows, key=lambda row: row.pixels)
    return next((row for row in reversed(found) if row.pixels <= WHOLE), found[0])


def write_complexities(found: Complexities, folder: Path) -> None:
    """Write complexity.json."""
    write_json(folder / COMPLEXITY, found)


def read_complexities(folder: Path) -> Complexities:
    """Read complexity.json.

    Raises:
        UnblurError: it is missing or broken.
    """
    return read_json(folder / COMPLEXITY, Complexities, _COMMAND)
