"""From an MLflow reference (models:/..., runs:/...) to the ONNX file behind it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unblur.config.tracking import tracking_client, tracking_uri
from unblur.errors import NoModelVersionError, UnblurError
from unblur.safety.secrets import masked

MEND = "run `make repro` or give --model FILE"


def is_mlflow_reference(reference: str) -> bool:
    """Tell `models:/unblur@champion` and `runs:/...` from a path."""
    return re.match(r"(models|runs):/", reference) is not None


@contextmanager
def fetched_onnx(reference: str) -> Iterator[Path]:
    """Give the path of the reference's ONNX file, copied to a folder that is removed at the end of the `with` block.

    The reference may lead to the file or to a folder with one model.onnx, the layout of MLflow's ONNX flavour.

    Raises:
        NoModelVersionError: the store has no such model version or run, or cannot be reached.
        UnblurError: the model has no ONNX file.
    """
    uri = tracking_uri()
    store = masked(uri)
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not database.is_file():
        # Checked here because MLflow would create an empty store, which takes seconds.
        msg = f"{reference}: no such model version in {store} (the file does not exist yet); {MEND}"
        raise NoModelVersionError(msg)
    with tempfile.TemporaryDirectory(prefix="unblur-", ignore_cleanup_errors=True) as folder:
        yield _only_onnx(_download(reference, store, Path(folder)), reference)


def _download(reference: str, store: str, folder: Path) -> Path:
    try:
        tracking_client()
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        msg = f"{reference}: MLflow is not installed ({error}); install unblur with its dependencies, or {MEND}"
        raise NoModelVersionError(msg) from error
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=reference, dst_path=str(folder)))
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
