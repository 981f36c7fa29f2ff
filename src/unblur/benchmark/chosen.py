"""The model that is deployed: what the benchmark chose, and where it comes from."""

from pathlib import Path

from unblur.benchmark.candidates import Candidate
from unblur.benchmark.runtimes import RUNTIMES
from unblur.errors import UnblurError
from unblur.export.variants import TRAINED, WEIGHTS, ModelVariant
from unblur.records.chosen import Chosen, read_chosen
from unblur.records.latency import LatencyRow
from unblur.safety.hashing import sha256_file


def chosen(candidate: Candidate, row: LatencyRow, models: dict[str, ModelVariant]) -> Chosen:
    """Return what is told about the candidate that won."""
    model = candidate.model
    runtime, precision = candidate.runtime.restored_by or ("", "")
    parent = models[model.parent].source / WEIGHTS if model.parent else None
    return Chosen(
        model.name,
        model.kind,
        runtime,
        precision,
        f"{model.name}/{candidate.file.name}",
        sha256_file(candidate.file),
        sha256_file(parent) if parent else "",
        sha256_file(models[TRAINED].source / WEIGHTS),
        row.lost_db,
    )


def last_choice(folder: Path) -> tuple[str, str] | None:
    """Return model and runtime that were chosen before, by the names of the benchmark; None where nothing was."""
    try:
        found = read_chosen(folder)
    except UnblurError:
        return None
    names = (runtime.name for runtime in RUNTIMES.values() if runtime.restored_by == (found.runtime, found.precision))
    return next(((found.variant, name) for name in names), None)
