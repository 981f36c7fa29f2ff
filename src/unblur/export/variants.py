"""The models that there are by now: the trained one and what was made of it, each under its name."""

from dataclasses import dataclass
from pathlib import Path

from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file

TRAINED, PRUNED = "trained", "pruned"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class ModelVariant:
    """One model.

    Attributes:
        name: trained, pruned, or one of these with what its numbers are stored as: trained_int8.
        source: the folder with model.safetensors, or the .onnx file of what has fewer bits.
        parent: name of the model that this one was made of; None of the trained one.
        kind: float, or one of `unblur.compression.post_training.KINDS`.
    """

    name: str
    source: Path
    parent: str | None = None
    kind: str = "float"


def float_models(paths: PathsConfig) -> list[ModelVariant]:
    """Return the trained model, and the pruned one if there is one that differs.

    Raises:
        UnblurError: there is no trained model.
    """
    trained, pruned = Path(paths.train) / "model", Path(paths.prune) / "model"
    if not (trained / WEIGHTS).is_file():
        msg = f"{trained / WEIGHTS} is not there; train a model with `unblur train`"
        raise UnblurError(msg)
    found = [ModelVariant(TRAINED, trained)]
    if (pruned / WEIGHTS).is_file() and sha256_file(pruned / WEIGHTS) != sha256_file(trained / WEIGHTS):
        found.append(ModelVariant(PRUNED, pruned, TRAINED))
    return found


def all_models(paths: PathsConfig) -> list[ModelVariant]:
    """Return the float models, and after each what `unblur quantize` made of it.

    Raises:
        UnblurError: there is no trained model.
    """
    found = []
    for model in float_models(paths):
        found.append(model)
        for file in sorted(Path(paths.quantize).glob(f"{model.name}_*/model.onnx")):
            kind = file.parent.name.removeprefix(f"{model.name}_")
            found.append(ModelVariant(file.parent.name, file, model.name, kind))
    return found
