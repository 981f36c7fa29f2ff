"""From what a user calls a model to the model: a name of the catalogue, a file, the registry; nothing is fetched."""

import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from unblur.config.extras import install, is_installed
from unblur.errors import MissingPackageError, NoModelVersionError, UnblurError
from unblur.models.catalogue import BOX, CHAMPION, Model, find, is_known
from unblur.models.fetch import check_file, require_file
from unblur.runtimes.reduced import ReducedRestorer
from unblur.runtimes.restorer import Restorer, load_restorer
from unblur.safety.hashing import write_listing

WEIGHTS = "model.safetensors"


def load_chosen(
    reference: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    *,
    runtime: str = "auto",
    precision: str = "auto",
    device: str | None = None,
) -> Restorer:
    """Load a model of the catalogue by its name, or what else `load_restorer` takes.

    Args:
        reference: a string may be a name; a `Path` is none, as `Path("./box")` is `Path("box")`. None takes the
            registry's champion, or where there is none the model that comes with unblur; a registry that does not
            answer is an error.
        threads: see `load_restorer`.
        runtime: see `load_restorer`.
        precision: see `load_restorer`.
        device: see `load_restorer`.

    Raises:
        UnblurError: there is no such model, it is not on this machine, or it cannot be read or run here.
    """
    if reference is not None:
        load = load_by_name if isinstance(reference, str) and is_known(reference) else load_restorer
        return load(str(reference), threads, runtime=runtime, precision=precision, device=device)
    try:
        return load_restorer(CHAMPION, threads, runtime=runtime, precision=precision, device=device)
    except NoModelVersionError as error:
        if not error.is_absent or find(BOX).planned:  # another model in the champion's place would not be noticed
            raise
    return load_by_name(BOX, threads, runtime=runtime, precision=precision, device=device)


def load_by_name(
    name: str, threads: int | None = None, *, runtime: str = "auto", precision: str = "auto", device: str | None = None
) -> Restorer:
    """Load a model of the catalogue (see `load_restorer`); nothing is fetched.

    Raises:
        UnblurError: there is none of that name, it is not on this machine, or its file is another.
    """
    model = find(name)
    restorer = load_restorer(readable(model), threads, runtime=runtime, precision=precision, device=device)
    if model.reads == "onnx":
        require_file(model, restorer.sha256)  # of the bytes that were loaded
    restorer.name = name
    return restorer if model.reduction == 1 else ReducedRestorer(restorer, model.reduction)


def readable(model: Model, *, again: bool = False) -> Path:
    """Return what `load_restorer` reads: the model's file, or the folder that its file was turned into.

    Args:
        model: an entry whose file is on this machine.
        again: turn the file into its folder even if that is there.
    """
    check_file(model)
    if model.reads == "onnx":
        return model.path
    check_runtime(model)
    folder = model.path.with_name(f"{model.path.name}.stages-{model.stages}")
    if again or not (folder / WEIGHTS).is_file():  # a cache that is only read needs no lock
        try:
            with FileLock(folder.with_name(f".{folder.name}.lock")):
                if again or not (folder / WEIGHTS).is_file():  # another process may have been first
                    _convert(model, folder)
        except OSError as error:
            msg = f"{folder}: cannot be written ({error.strerror or error})"
            raise UnblurError(msg) from error
    return folder


def check_runtime(model: Model) -> None:
    """Do nothing if what runs the model is installed; to be asked before it is fetched.

    Raises:
        MissingPackageError: it is not.
    """
    if model.reads != "onnx" and not is_installed("torch"):
        msg = f"{model.name}: is run by PyTorch, which is not installed: {install('torch')}"
        raise MissingPackageError(msg)


def _convert(model: Model, folder: Path) -> None:
    """Write MAXIM's published weights as safetensors; the folder appears when it is whole."""
    from unblur.networks.official import read_official
    from unblur.training.weights import save_model

    official = read_official(model.path, stages=model.stages or 3)
    require_file(model, official.sha256)  # of the bytes that were read
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as unfinished:
        made = Path(unfinished) / "model"
        save_model(official.build(), official.config(), made)
        write_listing([made / WEIGHTS], made)
        shutil.rmtree(folder, ignore_errors=True)
        made.replace(folder)
