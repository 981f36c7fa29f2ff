"""The files of a version as the registry keeps them: the ONNX file, what MLflow loads it by, documents, a signature."""

import hashlib
import importlib.metadata
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from unblur.config.tracking import one_try
from unblur.errors import LostFileError, UntrustedModelError
from unblur.registry.versions import Version
from unblur.runtimes.mlflow_reference import fetched, fetched_graph, logged_model_id
from unblur.runtimes.signature import SIGNATURE, SIGNING_KEY, public_half, sign, verify
from unblur.safety.atomic import sync_folder, sync_tree
from unblur.safety.hashing import sha256_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models.model import ModelInfo
    from onnx import ModelProto

REQUIREMENTS = ("mlflow", "numpy", "onnx", "onnxruntime")
KEY_TAG, SIGNATURE_TAG = "signing_key", "signature_sha256"


@dataclass(frozen=True)
class Content:
    """What a version is to hold.

    `metadata` is what MLmodel tells of it, `documents` is file name -> text, `key` is the private key that all is
    signed with, None for no signature.
    """

    model: Path
    metadata: Mapping[str, str]
    documents: Mapping[str, str] = field(default_factory=dict)
    key: Path | None = None

    def tags(self) -> dict[str, str]:
        """Return the SHA-256 of each document as tags: `bom_sha256`."""
        hashes = {Path(name).stem: hashlib.sha256(text.encode()).hexdigest() for name, text in self.documents.items()}
        return {f"{stem}_sha256": sha256 for stem, sha256 in hashes.items()}


def log_content(client: "MlflowClient", content: Content, undo: ExitStack) -> "tuple[ModelInfo, dict[str, str]]":
    """Log a model into the open run, and return it and what is to be tagged; `undo` takes it out of the store again.

    What is signed was never in the store: the files are written here, signed, and then sent.
    """
    import mlflow.onnx

    loaded, how = _as_logged(content.model)
    with one_try():
        logged = mlflow.onnx.log_model(loaded, name="model", metadata=dict(content.metadata), **how)
    undo.callback(client.delete_logged_model, logged.model_id)
    tags = _send(client, content, logged.model_id, logged.run_id) if content.key or content.documents else {}
    sync_stored(client.get_logged_model(logged.model_id).artifact_location)
    return logged, tags


def heal(client: "MlflowClient", version: Version, key: Path | None, make: Callable[[], Content]) -> bool:
    """Write the stored files of a version anew if one is gone or another, or no signature of the present key is there.

    Return whether they were. `make` is called only where something has to be written.

    Raises:
        LostFileError: it was not made by `unblur register`, or still cannot be read.
        UntrustedModelError: a signature is asked for, and there is no key to make one with.
    """
    lost = _loss(version, key)
    if lost is None:
        return False
    if isinstance(lost, UntrustedModelError) and key is None:
        raise lost
    if SIGNATURE_TAG in version.tags and key is None:
        msg = f"{lost}; it was signed with the key {version.tags.get(KEY_TAG, '')[:12]}: set {SIGNING_KEY}"
        raise UntrustedModelError(msg) from lost
    model_id = logged_model_id(client.get_model_version(version.name, str(version.number)))
    if model_id is None:  # made by something else
        raise lost
    for tag, value in _send(client, make(), model_id, version.run_id).items():
        client.set_model_version_tag(version.name, str(version.number), tag, value)
    sync_stored(client.get_logged_model(model_id).artifact_location)
    fetched_graph(version.uri)
    return True


def sync_stored(location: str) -> None:
    """Bring what is stored to the disk before a version says that it is there; MLflow copies files and no more."""
    place = urlsplit(location)
    if place.scheme in ("", "file"):
        folder = Path(url2pathname(place.path))
        sync_tree(folder)
        for above in folder.parents[:3]:  # of the model, the experiment and the store, which may all be new
            sync_folder(above)


def _send(client: "MlflowClient", content: Content, model_id: str, run_id: str) -> dict[str, str]:
    """Write the files of a logged model anew in the store, and return what is to be tagged."""
    import mlflow.onnx
    from mlflow.models import Model

    tags = content.tags()
    loaded, how = _as_logged(content.model)
    with tempfile.TemporaryDirectory(prefix="unblur-") as temporary:
        folder = Path(temporary) / "model"
        about = Model(run_id=run_id, model_id=model_id)
        mlflow.onnx.save_model(loaded, str(folder), mlflow_model=about, metadata=dict(content.metadata), **how)
        for name, text in content.documents.items():
            (folder / name).write_text(text, encoding="utf-8")
        if content.key:
            tags[KEY_TAG] = sign(folder, content.key)
            tags[SIGNATURE_TAG] = sha256_file(folder / SIGNATURE)
        client.log_model_artifacts(model_id, str(folder))
    return tags


def _loss(version: Version, key: Path | None) -> LostFileError | None:
    """Return what is wrong with the stored files of a version, None where nothing is."""
    try:
        fetched_graph(version.uri)
        if key:
            with fetched(version.uri) as (folder, _), public_half(key) as mine:
                verify(folder, mine, version.uri, version.tags.get(SIGNATURE_TAG))
    except LostFileError as error:
        return error
    if _is_described(version):
        return None
    return LostFileError(f"{version.uri}: its stored MLmodel is gone or damaged; register it under another name")


def _is_described(version: Version) -> bool:
    """Tell whether MLflow can read what it has written down of a stored model, which `mlflow.pyfunc` loads it by."""
    from mlflow.models import get_model_info

    try:
        return "onnx" in get_model_info(version.uri).flavors
    except Exception:
        return False


def _as_logged(model: Path) -> "tuple[ModelProto, dict[str, Any]]":
    """Return the ONNX model, and how MLflow shall keep it."""
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    loaded = onnx.load(str(model))

    def schema(values: Iterable[onnx.ValueInfoProto]) -> Schema:
        """Every tensor by its name, with -1 for free sizes: of a video network its state too."""
        specs = []
        for value in values:
            kind = value.type.tensor_type
            shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)
            specs.append(TensorSpec(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), shape, value.name))
        return Schema(specs)

    return loaded, {
        "signature": ModelSignature(inputs=schema(loaded.graph.input), outputs=schema(loaded.graph.output)),
        "save_as_external_data": False,
        "onnx_execution_providers": ["CPUExecutionProvider"],
        "pip_requirements": [f"{package}=={importlib.metadata.version(package)}" for package in REQUIREMENTS],
    }
