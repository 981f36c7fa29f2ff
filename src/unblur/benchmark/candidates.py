"""What is compared: every model in every runtime that it can gain from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unblur.benchmark.runtimes import EAGER, RUNTIMES, Runtime
from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError
from unblur.export.variants import TRAINED, ModelVariant, all_models


@dataclass(frozen=True)
class Candidate:
    """One model in one runtime, and the file or folder that it is loaded from."""

    model: ModelVariant
    runtime: Runtime
    file: Path

    @property
    def name(self) -> str:
        """Return what it is called: model and runtime."""
        return f"{self.model.name} {self.runtime.name}"


REFERENCE = f"{TRAINED} {EAGER}"
"""The trained network in PyTorch in float32: what speed and quality are told against."""


def candidates(paths: PathsConfig) -> list[Candidate]:
    """Return every model in every runtime, the reference first.

    Raises:
        UnblurError: a model has not been exported.
    """
    found = []
    for model in all_models(paths):
        for runtime in RUNTIMES.values():
            if model.kind not in runtime.kinds:
                continue
            network = runtime.needs == "network"
            file = model.source if network else Path(paths.export) / model.name / runtime.needs
            if not file.exists():
                msg = f"{file} is not there; run `unblur export` first, with onnx among export.formats"
                raise UnblurError(msg)
            found.append(Candidate(model, runtime, file))
    return found


def named(found: Sequence[Candidate]) -> dict[str, Candidate]:
    """Return them by their names."""
    return {candidate.name: candidate for candidate in found}
