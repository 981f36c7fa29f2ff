"""The model that is deployed: what the benchmark chose, and where it comes from."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from unblur.benchmark.entrants import Entrant
from unblur.benchmark.runtimes import RUNTIMES
from unblur.benchmark.table import BenchmarkRow
from unblur.errors import UnblurError
from unblur.export.variants import TRAINED, WEIGHTS, ModelVariant
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file

FILE = "chosen.json"


@dataclass(frozen=True)
class Chosen:
    """One exported model with its lineage.

    Attributes:
        variant: name of the model.
        kind: float, or what its numbers are stored as.
        runtime: that it is deployed in.
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


def chosen(entrant: Entrant, row: BenchmarkRow, models: dict[str, ModelVariant]) -> Chosen:
    """Return what is told about the entrant that won."""
    model = entrant.model
    runtime, precision = entrant.runtime.restored_by or ("", "")
    parent = models[model.parent].source / WEIGHTS if model.parent else None
    return Chosen(
        model.name,
        model.kind,
        runtime,
        precision,
        f"{model.name}/{entrant.file.name}",
        sha256_file(entrant.file),
        sha256_file(parent) if parent else "",
        sha256_file(models[TRAINED].source / WEIGHTS),
        row.lost_db,
    )


def read_chosen(folder: Path) -> Chosen:
    """Read chosen.json.

    Raises:
        UnblurError: it is missing or of another version of unblur.
    """
    path = folder / FILE
    try:
        return Chosen(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        msg = f"{path} is missing: nothing was chosen to be deployed. Run `unblur benchmark`."
        raise UnblurError(msg) from error
    except (ValueError, TypeError) as error:
        msg = f"{path} cannot be read ({error}). Run `unblur benchmark` again."
        raise UnblurError(msg) from error


def last_choice(folder: Path) -> tuple[str, str] | None:
    """Return model and runtime that were chosen before, by the names of the benchmark; None where nothing was."""
    try:
        found = read_chosen(folder)
    except UnblurError:
        return None
    names = (runtime.name for runtime in RUNTIMES.values() if runtime.restored_by == (found.runtime, found.precision))
    return next(((found.variant, name) for name in names), None)


def write_chosen(found: Chosen, folder: Path) -> None:
    """Write chosen.json."""
    with replacing(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
