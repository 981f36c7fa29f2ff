"""What the export hands on: how far each file is from the PyTorch network that it was made of, in parity.csv."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unblur.errors import UnblurError
from unblur.records.files import read_table, require_rows, write_table

FILE = "parity.csv"
_COMMAND = "export"


@dataclass(frozen=True)
class ParityRow:
    """One comparison of a file with the network in float32 that it was made of.

    Attributes:
        variant: the model's name.
        format: of the file.
        compared: what was restored: BATCHxHEIGHTxWIDTH of random images, or how many validation pairs.
        figure: of random images the largest absolute difference of any value, which are in [0, 1]; of pairs the PSNR
            that is lost, in dB.
        limit: largest figure that passes; NaN never does.
        unit: "" or "dB".
        passed: whether it did.
    """

    variant: str
    format: str
    compared: str
    figure: float
    limit: float
    unit: str
    passed: bool


@dataclass(frozen=True)
class Parity:
    """The largest figure over all comparisons of one file, and whether every one passed; `unit` is that of the rows."""

    largest: float
    unit: str
    passed: bool
    comparisons: int


def write_parity(rows: Iterable[ParityRow], folder: Path) -> None:
    """Write parity.csv."""
    write_table(folder / FILE, ParityRow, rows)


def read_parity(folder: Path) -> list[ParityRow]:
    """Read parity.csv.

    Raises:
        UnblurError: the file is missing, empty or broken.
    """
    return require_rows(read_table(folder / FILE, ParityRow, _COMMAND), folder / FILE, _COMMAND)


def read_onnx_parity(folder: Path, variant: str) -> Parity:
    """Read what parity.csv says of a model's ONNX file.

    Raises:
        UnblurError: the file is missing, has no row for it, or cannot be read.
    """
    rows = [row for row in read_parity(folder) if (row.variant, row.format) == (variant, "onnx")]
    if not rows:
        msg = f"{folder / FILE} has no row of {variant} as onnx. Run `unblur export` with onnx among export.formats."
        raise UnblurError(msg)
    return Parity(max(row.figure for row in rows), rows[0].unit, all(row.passed for row in rows), len(rows))
