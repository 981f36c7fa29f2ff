"""What the export has found out: how far the ONNX file is from the PyTorch network it was made of."""

import csv
from dataclasses import dataclass
from pathlib import Path

from unblur.errors import UnblurError

FILE = "parity.csv"


@dataclass(frozen=True)
class Parity:
    """The largest absolute difference over all sizes that were tried, and whether every size passed."""

    largest: float
    passed: bool
    sizes: int


def read_onnx_parity(folder: Path) -> Parity:
    """Read the rows of the ONNX file from parity.csv in the export folder.

    Raises:
        UnblurError: the file is missing, has no row for ONNX, or cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        msg = f"{path} is missing: the exported model was not compared with its network. Run `unblur export`."
        raise UnblurError(msg)
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("format") == "onnx"]
    try:
        differences = [float(row["max_abs_difference"]) for row in rows]
        passed = all(row["passed"].lower() in {"true", "1"} for row in rows)
    except (KeyError, ValueError, AttributeError) as error:
        msg = f"{path} cannot be read ({type(error).__name__}: {error}). Run `unblur export` again."
        raise UnblurError(msg) from error
    if not rows:
        msg = f"{path} has no row of the format onnx. Run `unblur export` with onnx among export.formats."
        raise UnblurError(msg)
    return Parity(max(differences), passed, len(rows))
