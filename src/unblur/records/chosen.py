"""What the benchmark chose to be deployed, and where it comes from: chosen.json."""

from dataclasses import dataclass
from pathlib import Path

from unblur.records.files import read_json, write_json

FILE = "chosen.json"


@dataclass(frozen=True)
class Chosen:
    """One exported model with its lineage.

    Attributes:
        variant: name of the model.
        kind: float, or what its numbers are stored as.
        runtime: that it is fastest in.
        precision: of what is not quantized.
        file: that is registered, relative to the folder of the exports.
        sha256: of that file.
        parent: SHA-256 of what it was made of: the float network's weights; "" of the trained network itself.
        teacher: SHA-256 of the trained network's weights.
        lost_db: against the trained network in PyTorch, on the validation pairs.
    """

    variant: str
    kind: str
    runtime: str
    precision: str
    file: str
    sha256: str
    parent: str
    teacher: str
    lost_db: float


def write_chosen(found: Chosen, folder: Path) -> None:
    """Write chosen.json."""
    write_json(folder / FILE, found)


def read_chosen(folder: Path) -> Chosen:
    """Read chosen.json.

    Raises:
        UnblurError: it is missing or of another version of unblur.
    """
    return read_json(folder / FILE, Chosen, "benchmark")
