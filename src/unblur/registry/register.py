"""Put the model that the benchmark chose into the MLflow registry, once for each SHA-256 of its ONNX file."""

import importlib.metadata
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from unblur.config.descent import require_descent
from unblur.config.schema import PipelineConfig
from unblur.config.tracking import (
    ensure_experiment,
    hurry_after_silence,
    is_active,
    one_try,
    store_errors,
    tracking_client,
)
from unblur.errors import LostFileError, UnblurError
from unblur.records.chosen import Chosen, read_chosen
from unblur.records.parity import Parity, read_onnx_parity
from unblur.records.training import Training, noted_training
from unblur.registry.card import FILE as CARD
from unblur.registry.card import THINGS, CardFacts, collect_facts, describe, is_card, write_card
from unblur.registry.lineage import Lineage, collect_lineage, require_one_training
from unblur.registry.lock import registry_lock
from unblur.registry.versions import (
    CANDIDATE,
    CHAMPION,
    Version,
    find_by_sha256,
    read_aliases,
    read_version,
    require_same_task,
    suppress_existing,
)
from unblur.runtimes.mlflow_reference import fetched_graph, logged_model_id
from unblur.safety.atomic import sync_folder, sync_tree
from unblur.safety.hashing import sha256_file
from unblur.safety.owned import check_replaceable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models.model import ModelInfo
    from onnx import ModelProto

LINEAGE = tuple(field.name for field in fields(Lineage))
REQUIREMENTS = ("mlflow", "numpy", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Registration:
    """The version that holds the exported model; `created` is False when it was there already.

    `healed` is True when the stored file of such a version was gone or another, and was written anew.
    """

    version: Version
    aliases: dict[str, int]
    created: bool
    healed: bool = False


@store_errors()
def register(cfg: PipelineConfig, root: Path) -> Registration:
    """Register the ONNX file that the benchmark chose and give its version the alias `candidate`.

    A file whose SHA-256 is in the registry already is not logged again; its version becomes the candidate. Where that
    version's stored file is gone or another, it is written once more.

    Args:
        cfg: `paths` tells where the pipeline has written, `registry` the names in MLflow.
        root: the project's root.

    Raises:
        UnblurError: the model is not exported, did not match its PyTorch network, or a file of the pipeline is
            missing or of another model; the champion of this name is for another task.
    """
    export = root / cfg.paths.export
    chosen = read_chosen(root / cfg.paths.benchmark)
    model = export / chosen.file
    if not model.is_file():
        msg = f"{model} is missing: there is nothing to register. Run `unblur export`."
        raise UnblurError(msg)
    if sha256_file(model) != chosen.sha256:
        msg = f"{model} is not the file that was chosen: it was exported since. Run `unblur benchmark` again."
        raise UnblurError(msg)
    parity = read_onnx_parity(export, chosen.variant)
    if not parity.passed:
        limit = "quantize.max_lost_db" if parity.unit else "export.tolerance"
        msg = (
            f"{model} differs from its PyTorch network by {parity.largest:.2e} {parity.unit}".rstrip()
            + f", more than {limit}: not registered. See {export / 'parity.csv'}."
        )
        raise UnblurError(msg)
    training = noted_training(root / cfg.paths.train)
    require_descent(cfg.paths, "register", root=root)
    require_one_training(cfg.paths, root, training, chosen)
    check_replaceable(root / cfg.paths.registry / CARD, is_card)
    client = tracking_client()
    name = cfg.registry.model_name
    with registry_lock(client, name):
        aliases = read_aliases(client, name)
        champion = read_version(client, name, aliases[CHAMPION]) if CHAMPION in aliases else None
        require_same_task(model, cfg.data.task, champion)
        known = find_by_sha256(client, name, chosen.sha256)
        healed = known is not None and _heal(client, known, model)
        version = known or _create(client, cfg, root, chosen, parity, training=training)
        if aliases.get(CANDIDATE) != version.number:
            client.set_registered_model_alias(name, CANDIDATE, str(version.number))
        return Registration(version, read_aliases(client, name), created=known is None, healed=healed)


def _create(
    client: "MlflowClient", cfg: PipelineConfig, root: Path, chosen: Chosen, parity: Parity, *, training: Training
) -> Version:
    """Log the model, its card and its report, and make a version of them."""
    name = cfg.registry.model_name
    model = root / cfg.paths.export / chosen.file
    lineage = collect_lineage(root, training, chosen)
    facts = collect_facts(cfg, root, training, lineage, parity)
    tags = lineage.tags() | _facts_as_tags(cfg, facts, model, chosen)
    card, report = write_card(facts, root / cfg.paths.registry), root / cfg.paths.reports / "report.html"
    with suppress_existing():
        client.create_registered_model(name, description=f"Takes the blur out of {THINGS[facts.task]}; made by unblur.")
    with _run(client, cfg.registry.experiment, training) as run_id, ExitStack() as undo:
        with one_try():
            logged = _log_model(model, lineage)
        undo.callback(client.delete_logged_model, logged.model_id)
        _sync_stored(client.get_logged_model(logged.model_id).artifact_location)
        client.log_artifact(run_id, str(card))
        if report.is_file():
            client.log_artifact(run_id, str(report))
        _sync_stored(client.get_run(run_id).info.artifact_uri)
        made = client.create_model_version(
            name, logged.model_uri, run_id=run_id, tags=tags, description=describe(facts), model_id=logged.model_id
        )
        undo.pop_all()  # a version holds it now
    return read_version(client, name, int(made.version))


@contextmanager
def _run(client: "MlflowClient", experiment: str, training: Training) -> Iterator[str]:
    """Open the training's run, or a new one where this store does not know it; a new one goes if the block raises."""
    import mlflow

    with ExitStack() as undo:
        run_id = _training_run(client, experiment, training)
        if run_id is None:
            run_id = str(client.create_run(ensure_experiment(client, experiment), run_name="register").info.run_id)
            undo.callback(client.delete_run, run_id)
        with mlflow.start_run(run_id=run_id), hurry_after_silence():
            yield run_id
        undo.pop_all()


def _log_model(model: Path, lineage: Lineage) -> "ModelInfo":
    """Log the ONNX file into the open run."""
    import mlflow.onnx

    loaded, how = _as_logged(model)
    return mlflow.onnx.log_model(loaded, name="model", metadata=lineage.tags(), **how)


def _heal(client: "MlflowClient", version: Version, model: Path) -> bool:
    """Write the stored files of a version anew if one is gone or another, and say whether it was."""
    import mlflow.onnx
    from mlflow.models import Model

    try:
        fetched_graph(version.uri)
        if _is_described(version):
            return False
        lost = LostFileError(f"{version.uri}: its stored MLmodel is gone or damaged; register it under another name")
    except LostFileError as error:
        lost = error
    model_id = logged_model_id(client.get_model_version(version.name, str(version.number)))
    if model_id is None:  # made by something else
        raise lost
    loaded, how = _as_logged(model)
    metadata = {name: version.tags[name] for name in LINEAGE if name in version.tags}
    with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
        about = Model(run_id=version.run_id, model_id=model_id)
        mlflow.onnx.save_model(loaded, f"{folder}/model", mlflow_model=about, metadata=metadata, **how)
        client.log_model_artifacts(model_id, f"{folder}/model")
    _sync_stored(client.get_logged_model(model_id).artifact_location)
    fetched_graph(version.uri)
    return True


def _is_described(version: Version) -> bool:
    """Tell whether MLflow can read what it has written down of a stored model, which `mlflow.pyfunc` loads it by."""
    from mlflow.models import get_model_info

    try:
        return "onnx" in get_model_info(version.uri).flavors
    except Exception:
        return False


def _sync_stored(location: str) -> None:
    """Bring what is stored to the disk before a version says that it is there; MLflow copies files and no more."""
    place = urlsplit(location)
    if place.scheme in ("", "file"):
        folder = Path(url2pathname(place.path))
        sync_tree(folder)
        for above in folder.parents[:3]:  # of the model, the experiment and the store, which may all be new
            sync_folder(above)


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


def _training_run(client: "MlflowClient", experiment: str, training: Training) -> str | None:
    """Return the run of a training; one that was sent later is known by the training's hash."""
    run_id, config_hash = training.run_id, training.config_hash
    if run_id is not None:
        return str(run_id) if is_active(client, run_id) else None
    found = client.get_experiment_by_name(experiment) if config_hash else None
    if found is None:
        return None
    runs = client.search_runs([found.experiment_id], f"tags.config_hash = '{config_hash}'", max_results=1)
    return str(runs[0].info.run_id) if runs else None


def _facts_as_tags(cfg: PipelineConfig, facts: CardFacts, model: Path, chosen: Chosen) -> dict[str, str]:
    """Return what people filter versions by; tags of unknown facts are left out."""
    tags = {
        "task": cfg.data.task,
        "network": facts.network,
        "metric_profile": cfg.gate.profile,
        "parameters": facts.parameters,
        "file_bytes": model.stat().st_size,
        "parity": f"{facts.parity.largest:.3e}",
        "parity_unit": facts.parity.unit or None,
        "fastest_in": f"{chosen.runtime} {chosen.precision}",
        "lost_db": f"{chosen.lost_db:.4f}",
        "seed": facts.training.seed,
        "steps": facts.training.steps,
        "weights_sha256": facts.training.model_sha256 or None,
    }
    if facts.metrics:
        for method in ("model", "blurred"):
            value = facts.metrics.test.get(method, {}).get(cfg.gate.profile)
            tags[f"test_{method}"] = None if value is None else f"{value:.4f}"
    return {key: str(value) for key, value in tags.items() if value is not None}
