"""From an MLflow reference (models:/..., runs:/...) to the ONNX file behind it."""

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.extras import install
from unblur.config.tracking import no_answer, tracking_client, tracking_uri
from unblur.errors import LostFileError, MissingPackageError, NoModelVersionError, UnblurError
from unblur.runtimes.graph_file import GraphFile, read_graph
from unblur.runtimes.signature import public_keys, verify
from unblur.safety.secrets import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)

MEND = "run `make repro`, or give --model FILE or a name that `unblur models` lists"
LOST = "register the model again (`unblur register`), or roll back: `unblur rollback`"
ADDED_BY_MLFLOW = "registered_model_meta"
VERSION = re.compile(r"models:/([^/@]+)(?:@([^/]+)|/(\d+))")
LOGGED = re.compile(r"models:/(m-[0-9a-f]+)/?")
OF_RUN = re.compile(r"runs:/([^/]+)/(.+)")


def is_mlflow_reference(reference: str) -> bool:
    """Tell `models:/unblur@champion` and `runs:/...` from a path."""
    return re.match(r"(models|runs):/", reference) is not None


def is_alias(reference: str) -> bool:
    """Tell `models:/NAME@ALIAS`, which may lead to another version tomorrow, from what stays."""
    named = VERSION.fullmatch(reference)
    return named is not None and named[2] is not None


def pinned(reference: str) -> str:
    """Return `models:/NAME/VERSION`, the version that an alias leads to now; other references as they are.

    Raises:
        NoModelVersionError: the store has no such model version, or cannot be reached.
    """
    if not is_alias(reference):
        return reference
    store = _existing_store(reference)
    client = _client(reference, store)
    from mlflow.exceptions import MlflowException

    try:
        return _versions(client, reference)[0]
    except (MlflowException, OSError) as error:
        raise _no_version(reference, store, error) from error


def fetched_graph(reference: str) -> GraphFile:
    """Return the reference's ONNX file, read out of a copy that is then removed.

    The reference may lead to the file or to a folder with one model.onnx, the layout of MLflow's ONNX flavour. What was
    read is compared with the SHA-256 of the version that it leads to, or that was made of it; where nothing was, a
    warning says so. Where UNBLUR_PUBLIC_KEY is set, all files have to be signed with one of its keys.

    Raises:
        NoModelVersionError: the store has no such model version or run, or cannot be reached.
        LostFileError: the version is there, but its file is gone, or not the one that was registered.
        UntrustedModelError: a signature is asked for, and there is none of a trusted key over these files.
        UnblurError: the model has no ONNX file.
    """
    keys = public_keys()
    with fetched(reference) as (found, versions):
        recorded = _recorded(versions)
        if keys:
            signatures = {version.tags.get("signature_sha256") for version in versions}
            verify(found, keys, reference, signatures.pop() if len(signatures) == 1 else None)
        file = read_graph(_only_onnx(found, reference, lost=bool(recorded)))
    if not recorded:
        log.warning("%s: no SHA-256 of it was ever registered, so nothing tells whether it has changed", reference)
    elif file.sha256 not in recorded:
        expected = " or ".join(sorted(sha256[:12] for sha256 in recorded))
        msg = (
            f"{reference}: the stored {file.path.name} is not the file that was registered ({expected}), it was "
            f"damaged or exchanged; {LOST}"
        )
        raise LostFileError(msg)
    return file


@contextmanager
def fetched(reference: str) -> "Iterator[tuple[Path, list[ModelVersion]]]":
    """Give a private copy of what a reference leads to, and the registered versions whose model that is.

    The copy goes with the block. What MLflow adds to a copy, and was never stored, is not in it.

    Raises:
        NoModelVersionError: the store has no such model version or run, or cannot be reached.
        LostFileError: the version is there, but its files are gone.
    """
    store = _existing_store(reference)
    with tempfile.TemporaryDirectory(prefix="unblur-", ignore_cleanup_errors=True) as folder:
        found, versions = _download(reference, store, Path(folder))
        if found.is_dir():
            (found / ADDED_BY_MLFLOW).unlink(missing_ok=True)
        yield found, versions


def _download(reference: str, store: str, folder: Path) -> "tuple[Path, list[ModelVersion]]":
    client = _client(reference, store)
    import mlflow
    from mlflow.exceptions import MlflowException

    address, versions = reference, list["ModelVersion"]()
    try:
        address, versions = _versions(client, reference)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(folder))), versions
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())
        if _recorded(versions) and not no_answer(error):
            msg = f"{reference}: its stored file is gone from {store} ({reason[:300]}); {LOST}"
            raise LostFileError(msg) from error
        raise _no_version(reference, store, error) from error


def _recorded(versions: "list[ModelVersion]") -> frozenset[str]:
    """Return what SHA-256 the ONNX file may have by the registry."""
    return frozenset(filter(None, (version.tags.get("model_sha256", "") for version in versions)))


def _existing_store(reference: str) -> str:
    """Return the store's address without credentials; MLflow would create an empty one, which takes seconds."""
    uri = tracking_uri()
    store = masked(uri)
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not database.is_file():
        msg = f"{reference}: no such model version in {store} (the file does not exist yet); {MEND}"
        raise NoModelVersionError(msg)
    return store


def _client(reference: str, store: str) -> "MlflowClient":
    try:
        return tracking_client()
    except ImportError as error:
        msg = f"{reference}: lies in {store}, which MLflow reads, and that is not installed: {install('mlflow')}"
        raise MissingPackageError(msg) from error


def _no_version(reference: str, store: str, error: Exception) -> NoModelVersionError:
    reason = " ".join(str(error).split())
    if why := no_answer(error):
        return NoModelVersionError(f"{reference}: {store}: {why}, or give --model FILE ({reason})")
    kind = "model version" if reference.startswith("models:") else "run or artifact"
    return NoModelVersionError(f"{reference}: no such {kind} in {store} ({reason}); {MEND}")


def _versions(client: "MlflowClient", reference: str) -> "tuple[str, list[ModelVersion]]":
    """Return the address to download from, and the registered versions whose file it leads to."""
    if named := VERSION.fullmatch(reference):
        name, alias, number = named.groups()
        get = client.get_model_version_by_alias if alias else client.get_model_version
        version = get(name, alias or number)
        return f"models:/{name}/{version.version}", [version]  # an alias may move before the download
    if logged := LOGGED.fullmatch(reference):
        run = client.get_logged_model(logged[1]).source_run_id
        made = client.search_model_versions(f"run_id = '{run}'") if run else []
        return reference, [version for version in made if logged_model_id(version) == logged[1]]
    if of_run := OF_RUN.fullmatch(reference):
        run, path = of_run[1], of_run[2].strip("/")
        made = client.search_model_versions(f"run_id = '{run}'")
        return reference, [version for version in made if _logged_name(client, version) == path]
    return reference, []


def logged_model_id(version: "ModelVersion") -> str | None:
    """Return which logged model a version was made of; MLflow leaves `model_id` empty."""
    found = LOGGED.fullmatch(str(version.source))
    return found[1] if found else None


def _logged_name(client: "MlflowClient", version: "ModelVersion") -> str | None:
    """Return what a version's model is called in its run, None where the store no longer knows."""
    from mlflow.exceptions import MlflowException

    model_id = logged_model_id(version)
    try:
        return str(client.get_logged_model(model_id).name) if model_id else None
    except MlflowException:  # deleted
        return None


def _only_onnx(found: Path, reference: str, *, lost: bool) -> Path:
    files = [
        path for path in ([found] if found.suffix == ".onnx" else sorted(found.rglob("model.onnx"))) if path.is_file()
    ]
    if len(files) != 1:
        if lost:
            there = f"has {len(files) - 1} others beside it" if files else "is gone"
            msg = f"{reference}: its stored model.onnx {there}; {LOST}"
            raise LostFileError(msg)
        msg = f"{reference}: has {len(files)} ONNX files, expected one; register the model with `unblur register`"
        raise UnblurError(msg)
    return files[0]
