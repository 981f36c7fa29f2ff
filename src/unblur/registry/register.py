"""Put the model that the benchmark chose into the MLflow registry, once for each SHA-256 of its ONNX file."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.descent import require_descent
from unblur.config.extras import is_installed
from unblur.config.schema import PipelineConfig
from unblur.config.tracking import (
    ensure_experiment,
    hurry_after_silence,
    is_active,
    store_errors,
    tracking_client,
)
from unblur.errors import UnblurError
from unblur.records.chosen import Chosen, read_chosen
from unblur.records.parity import read_onnx_parity
from unblur.records.training import Training, noted_training
from unblur.registry.card import FILE as CARD
from unblur.registry.card import THINGS, CardFacts, collect_facts, describe, is_card, write_card
from unblur.registry.lineage import Lineage, collect_lineage, require_one_training
from unblur.registry.lock import registry_lock
from unblur.registry.stored import Content, heal, log_content, sync_stored
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
from unblur.runtimes.signature import check_signing, signing_key
from unblur.safety.hashing import sha256_file
from unblur.safety.owned import check_replaceable

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Registration:
    """The version that holds the exported model; `created` is False when it was there already.

    `healed` is True when a stored file of such a version, or its signature, was gone or another, and was written anew.
    """

    version: Version
    aliases: dict[str, int]
    created: bool
    healed: bool = False


@store_errors()
def register(cfg: PipelineConfig, root: Path) -> Registration:
    """Register the ONNX file that the benchmark chose and give its version the alias `candidate`.

    A file whose SHA-256 is in the registry already is not logged again; its version becomes the candidate. Where that
    version's stored file is gone or another, it is written once more. Where UNBLUR_SIGNING_KEY names a private key, all
    files of the version are signed with it, also those of a version that was not, or with another key.

    Args:
        cfg: `paths` tells where the pipeline has written, `registry` the names in MLflow.
        root: the project's root.

    Raises:
        UnblurError: the model is not exported, did not match its PyTorch network, or a file of the pipeline is
            missing or of another model; the champion of this name is for another task; the key cannot be read.
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
    key = signing_key()
    if key:
        check_signing(key)
    client = tracking_client()
    name = cfg.registry.model_name
    with registry_lock(client, name):
        aliases = read_aliases(client, name)
        champion = read_version(client, name, aliases[CHAMPION]) if CHAMPION in aliases else None
        require_same_task(model, cfg.data.task, champion)
        known = find_by_sha256(client, name, chosen.sha256)
        lineage = _known_lineage(known) if known else collect_lineage(root, training, chosen)

        def facts() -> CardFacts:
            return collect_facts(cfg, root, training, lineage, parity)

        if known:
            healed = heal(client, known, key, lambda: _content(facts(), model, chosen, key))
            version = read_version(client, name, known.number) if healed else known
        else:
            healed, version = False, _create(client, cfg, root, chosen, facts=facts(), key=key)
        if aliases.get(CANDIDATE) != version.number:
            client.set_registered_model_alias(name, CANDIDATE, str(version.number))
        return Registration(version, read_aliases(client, name), created=known is None, healed=healed)


def _create(
    client: "MlflowClient", cfg: PipelineConfig, root: Path, chosen: Chosen, *, facts: CardFacts, key: Path | None
) -> Version:
    """Log the model, its card and its report, and make a version of them."""
    name = cfg.registry.model_name
    content = _content(facts, root / cfg.paths.export / chosen.file, chosen, key)
    tags = facts.lineage.tags() | _facts_as_tags(cfg, facts, content.model, chosen)
    card, report = write_card(facts, root / cfg.paths.registry), root / cfg.paths.reports / "report.html"
    with suppress_existing():
        client.create_registered_model(name, description=f"Takes the blur out of {THINGS[facts.task]}; made by unblur.")
    with _run(client, cfg.registry.experiment, facts.training) as run_id, ExitStack() as undo:
        logged, stored_tags = log_content(client, content, undo)
        tags |= stored_tags
        client.log_artifact(run_id, str(card))
        if report.is_file():
            client.log_artifact(run_id, str(report))
        sync_stored(client.get_run(run_id).info.artifact_uri)
        made = client.create_model_version(
            name, logged.model_uri, run_id=run_id, tags=tags, description=describe(facts), model_id=logged.model_id
        )
        undo.pop_all()  # a version holds it now
    return read_version(client, name, int(made.version))


def _known_lineage(version: Version) -> Lineage:
    """Return what a version was registered with; "" for what it was not."""
    return Lineage(**{field.name: version.tags.get(field.name, "") for field in fields(Lineage)})


def _content(facts: CardFacts, model: Path, chosen: Chosen, key: Path | None) -> Content:
    return Content(model, facts.lineage.tags(), _documents(facts, chosen), key)


def _documents(facts: CardFacts, chosen: Chosen) -> dict[str, str]:
    """Return what is stored beside a model; nothing where `unblur[sign]` is not installed."""
    if not is_installed("cyclonedx"):
        return {}
    from unblur.registry.bom import FILE as BOM
    from unblur.registry.bom import bill_of_materials
    from unblur.registry.provenance import FILE as PROVENANCE
    from unblur.registry.provenance import provenance

    bill = bill_of_materials(facts, chosen)
    made = {"model.onnx": chosen.sha256, BOM: hashlib.sha256(bill.encode()).hexdigest()}
    return {BOM: bill, PROVENANCE: provenance(facts, chosen, made)}


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
