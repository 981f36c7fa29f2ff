"""From an MLflow reference (models:/..., runs:/...) to the ONNX file behind it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unblur.config.extras import install
from unblur.config.tracking import tracking_client, tracking_uri
from unblur.errors import MissingPackageError, NoModelVersionError, UnblurError
from unblur.safety.hashing import sha256_file
from unblur.safety.secrets import masked

MEND = "run `make repro`, or give --model FILE or a name that `unblur models` lists"


def is_mlflow_reference(reference: str) -> bool:
    """Tell `models:/unblur@champion` and `runs:/...` from a path."""
    return re.match(r"(models|runs):/", reference) is not None


@contextmanager
def fetched_onnx(reference: str) -> Iterator[Path]:
    """Give the path of the reference's ONNX file, copied to a folder that is removed at the end of the `with` block.

    The reference may lead to the file or to a folder with one model.onnx, the layout of MLflow's ONNX flavour.

    Raises:
        NoModelVersionError: the store has no such model version or run, or cannot be reached.
        UnblurError: the model has no ONNX file, or not the one that was registered.
    """
    uri = tracking_uri()
    store = masked(uri)
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not database.is_file():
        # Checked here because MLflow would create an empty store, which takes seconds.
        msg = f"{reference}: no such model version in {store} (the file does not exist yet); {MEND}"
        raise NoModelVersionError(msg)
    with tempfile.TemporaryDirectory(prefix="unblur-", ignore_cleanup_errors=True) as folder:
        found, sha256 = _download(reference, store, Path(folder))
        file = _only_onnx(found, reference)
        if sha256 and sha256_file(file) != sha256:
            msg = (
                f"{reference}: the stored {file.name} is not the file that was registered ({sha256[:12]}), it was "
                "damaged or exchanged; register the model again, or roll back: `unblur rollback`"
            )
            raise UnblurError(msg)
        yield file


def _download(reference: str, store: str, folder: Path) -> tuple[Path, str]:
    """Return where the files of a reference are now, and the SHA-256 of its registered ONNX file, "" of any other."""
    try:
        client = tracking_client()
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        msg = f"{reference}: lies in {store}, which MLflow reads, and that is not installed: {install('mlflow')}"
        raise MissingPackageError(msg) from error
    named, sha256 = re.fullmatch(r"models:/([^/@]+)(?:@([^/]+)|/(\d+))", reference), ""
    try:
        if named:
            name, alias, number = named.groups()
            get = client.get_model_version_by_alias if alias else client.get_model_version
            version = get(name, alias or number)
            sha256 = version.tags.get("model_sha256", "")
            reference = f"models:/{name}/{version.version}"  # an alias may move before the download
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=reference, dst_path=str(folder))), sha256
    except MlflowException as error:
        kind = "model version" if reference.startswith("models:") else "run or artifact"
        reason = " ".join(str(error).split())
        msg = f"{reference}: no such {kind} in {store} ({reason}); {MEND}"
        raise NoModelVersionError(msg) from error
    except OSError as error:
        msg = f"{reference}: its files cannot be fetched from {store} ({error}); {MEND}"
        raise NoModelVersionError(msg) from error


def _only_onnx(found: Path, reference: str) -> Path:
    files = [found] if found.suffix == ".onnx" else sorted(found.rglob("model.onnx"))
    if len(files) != 1:
        msg = f"{reference}: has {len(files)} ONNX files, expected one; register the model with `unblur register`"
        raise UnblurError(msg)
    return files[0]
