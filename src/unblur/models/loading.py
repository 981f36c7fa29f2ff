"""From a name of the catalogue to what `load_restorer` reads, without a word to the network."""

import shutil
import tempfile
from pathlib import Path

from unblur.errors import UnblurError
from unblur.models.catalogue import Model, find
from unblur.models.fetch import check_file
from unblur.restoring.restorer import Restorer, load_restorer
from unblur.safety.hashing import write_listing

WEIGHTS = "model.safetensors"


def load_by_name(
    name: str, threads: int | None = None, *, runtime: str = "auto", precision: str = "auto", device: str | None = None
) -> Restorer:
    """Load a model of the catalogue (see `load_restorer`); nothing is fetched.

    Raises:
        UnblurError: there is none of that name, it is not on this machine, or its file is another.
    """
    path = readable(find(name))
    restorer = load_restorer(path, threads, runtime=runtime, precision=precision, device=device)
    restorer.name = name
    return restorer


def readable(model: Model, *, again: bool = False) -> Path:
    """Return what `load_restorer` reads: the model's file, or the folder that its file was turned into.

    Args:
        model: an entry whose file is on this machine.
        again: turn the file into its folder even if that is there.
    """
    check_file(model)
    if model.reads == "onnx":
        return model.path
    folder = model.path.with_name(f"{model.path.name}.stages-{model.stages}")
    if again or not (folder / WEIGHTS).is_file():
        _convert(model, folder)
    return folder


def _convert(model: Model, folder: Path) -> None:
    """Write MAXIM's published weights as safetensors; the folder appears when it is whole."""
    from unblur.networks.official import read_official
    from unblur.training.weights import save_model

    official = read_official(model.path, stages=model.stages or 3)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as unfinished:
            made = Path(unfinished) / "model"
            save_model(official.build(), official.config(), made)
            write_listing([made / WEIGHTS], made)
            shutil.rmtree(folder, ignore_errors=True)
            made.replace(folder)
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror or error})"
        raise UnblurError(msg) from error
