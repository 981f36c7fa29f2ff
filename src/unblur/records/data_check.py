"""What the check of the data hands on, as the report reads it: data.json."""

from dataclasses import dataclass
from pathlib import Path

from unblur.records.files import read_json

FILE = "data.json"


@dataclass(frozen=True)
class Found:
    """One thing that is wrong with a file: an "error" would poison training, a "warning" is worth knowing."""

    severity: str
    problem: str
    file: str
    detail: str


@dataclass(frozen=True)
class DataCheck:
    """How many errors, warnings, pictures and other files; pictures in each split; and what was found."""

    errors: int
    warnings: int
    pictures: int
    others: int
    splits: dict[str, int]
    findings: list[Found]


def read_data_check(folder: Path) -> DataCheck:
    """Read data.json.

    Raises:
        UnblurError: it is missing or broken.
    """
    return read_json(folder / FILE, DataCheck, "check-data")
