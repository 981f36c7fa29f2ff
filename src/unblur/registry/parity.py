"""What the export has found out: how far an ONNX file is from the PyTorch network that it was made of."""

import csv
from dataclasses import dataclass
from pathlib import Path

from unblur.errors import UnblurError

FILE = "parity.csv"


@dataclass(frozen=True)
class Parity:
    """The largest figure over all comparisons, and whether every one passed.

    `unit` is "" where it is the absolute difference of values in [0, 1], and "dB" where it is the PSNR that a model of
    fewer bits loses on the validation pairs.
    """

    largest: float
    unit: str
    passed: bool
    comparisons: int


def read_onnx_parity(folder: Path, variant: str) -> Parity:
    """Read the rows of a model's ONNX file from parity.csv in the export folder.

    Raises:
        UnblurError: the file is missing, has no row for it, or cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        msg = f"{path} is missing: the exported model was not compared with its network. Run `unblur export`."
        raise UnblurError(msg)
    with path.open(newline="", encoding="utf-8") as stream:
        every = list(csv.DictReader(stream))
    rows = [row for row in every if (row.get("variant"), row.get("format")) == (variant, "onnx")]
    try:
        figures = [float(row["figure"]) for row in rows]
        passed = all(row["passed"].lower() in {"true", "1"} for row in rows)
        units = [row["unit"] for row in rows]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        msg = f"{path} cannot be read ({type(error).__name__}: {error}). Run `unblur export` again."
        raise UnblurError(msg) from error
    if not rows:
        msg = f"{path} has no row of {variant} in the format onnx. Run `unblur export` with onnx among export.formats."
        raise UnblurError(msg)
    return Parity(max(figures), units[0], passed, len(rows))
