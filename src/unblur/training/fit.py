"""Training from the configuration to the saved model, resumed by itself after an interruption."""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch import nn

from unblur.config.descent import require_descent, write_lineage
from unblur.config.instantiate import instantiate
from unblur.config.processes import count_processes
from unblur.config.provenance import data_version, git_state
from unblur.config.root import project_root
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError
from unblur.networks.description import describe
from unblur.records.training import HISTORY, RECORD, Training, write_training
from unblur.safety.atomic import require_writable
from unblur.safety.hashing import sha256_file
from unblur.safety.owned import MARKER, check_owned, check_replaceable, owned_folder
from unblur.training.callbacks import History, SamplePanels, StopsAtOnce
from unblur.training.checkpoints import KeptCheckpoints, newest_readable
from unblur.training.crops import shard_store
from unblur.training.datamodule import restoration_data
from unblur.training.distillation import DistillationModule
from unblur.training.module import RestorationModule
from unblur.training.precision import resolve_precision
from unblur.training.run import TRAINING_KEYS, make_logger
from unblur.training.tracking_logger import TrackingLogger
from unblur.training.weights import WEIGHTS, About, folder_of, load_model, read_about, read_model_config, save_model


def fit(cfg: PipelineConfig, *callbacks: L.Callback) -> Training:
    """Train as `cfg` says and write `<paths.train>/{model/, history.csv, run.json}`.

    An interrupted training with the same configuration and data is continued from its last readable checkpoint in
    `<paths.checkpoints>/<hash>/`; that folder is removed once the model is saved.

    Args:
        cfg: the configuration.
        callbacks: beside those that `cfg` names.

    Raises:
        UnblurError: the data is missing, a part of the configuration cannot be built, the loss is not finite, or
            `<paths.train>` holds what unblur did not write.
    """
    started = time.monotonic()
    check_training_folder(Path(cfg.paths.train))
    require_descent(cfg.paths, "train", manifest=cfg.data.manifest)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    if cfg.train.threads:
        torch.set_num_threads(cfg.train.threads)
    data = restoration_data(cfg)
    manifest = sha256_file(Path(cfg.paths.prepared) / "manifest.csv")
    training_hash = hash_training(cfg, manifest)
    checkpoints = Path(cfg.paths.checkpoints) / training_hash[:16]
    for folder in (Path(cfg.paths.train), checkpoints.parent):
        require_writable(folder)

    network, model = make_network(cfg)
    parent = About() if cfg.train.init is None else read_about(folder_of(cfg.train.init))
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()} if cfg.train.init_share else {}
    task = describe(network).task
    if task != cfg.data.task:
        name = type(network).__name__
        msg = f"{name} is a network for {task}, data.task is {cfg.data.task}: choose another model, or another data"
        raise UnblurError(msg)
    fewest, most = cfg.data.min_frames, cfg.data.frames
    if fewest and (task != "burst" or not 1 <= fewest <= most):
        msg = f"data.min_frames={fewest}: expected 0, or for bursts a number of shots from 1 to data.frames={most}"
        raise UnblurError(msg)
    module = make_module(cfg, network, shots=(fewest, most) if fewest else None)
    logger = make_logger(cfg, training_hash, checkpoints)
    history = History()
    trainer = make_trainer(cfg, logger, history, checkpoints, callbacks)
    last = newest_readable(checkpoints) if cfg.train.resume else None
    trainer.fit(module, datamodule=data, ckpt_path=str(last) if last else None, weights_only=True)

    git = git_state(project_root())
    record = Training(
        run_id=logger.run_id if isinstance(logger, TrackingLogger) else None,
        experiment=cfg.registry.experiment,
        config_hash=training_hash,
        git_sha=git.sha,
        git_dirty=git.dirty,
        data_md5=data_version(project_root(), cfg.paths.data),
        manifest_sha256=manifest,
        model_sha256="",
        init_sha256=_weights_hash(cfg.train.init),
        init_name=parent.name,
        init_licence=parent.licence,
        teacher_sha256=_weights_hash(cfg.train.teacher),
        seed=cfg.seed,
        precision=str(trainer.precision),
        steps=trainer.global_step,
        seconds=round(time.monotonic() - started, 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        val_psnr=history.rows[-1].val_psnr if history.rows else None,
        resumed=last is not None,
    )
    if trainer.is_global_zero:
        if start:
            mix_in(network, start, cfg.train.init_share)
        record = save_training(cfg, network, model, record=record, history=history)
        shutil.rmtree(checkpoints, ignore_errors=True)
    return record


def make_network(cfg: PipelineConfig) -> tuple[nn.Module, Mapping[str, Any]]:
    """Return the network of `train.init` with its weights, or a new one as `model` says; and what builds it.

    Raises:
        UnblurError: the folder holds no model, or `model` names another kind of network.
    """
    if cfg.train.init is None:
        network: nn.Module = instantiate(cfg.model)
        return network, cfg.model
    folder = folder_of(cfg.train.init)
    config = read_model_config(folder)
    found, wanted = config["_target_"], cfg.model["_target_"]
    if found != wanted:
        what = f"train.init={cfg.train.init} is a {found}"
        msg = f"{what}, but model is a {wanted}: choose the model that it is, or another init"
        raise UnblurError(msg)
    given = load_model(folder)
    if (grown := _grown(cfg, given)) is not None:
        return grown.train(), cfg.model
    return given.train(), config


def _grown(cfg: PipelineConfig, given: nn.Module) -> nn.Module | None:
    """Return the network of `model` with the weights of `given`, or None unless it has these and others that are 0."""
    grown: nn.Module = instantiate(cfg.model)
    own, weights = grown.state_dict(), given.state_dict()
    if any(name not in own or own[name].shape != tensor.shape for name, tensor in weights.items()):
        return None
    if any(tensor.any() for name, tensor in own.items() if name not in weights):
        return None
    grown.load_state_dict(own | weights)
    return grown


def mix_in(network: nn.Module, start: dict[str, torch.Tensor], share: float) -> None:
    """Mix the weights that training began with into those that a network has, by their share in [0, 1]."""
    trained = network.state_dict()
    network.load_state_dict({name: torch.lerp(tensor.cpu(), start[name], share) for name, tensor in trained.items()})


def make_module(cfg: PipelineConfig, network: nn.Module, shots: tuple[int, int] | None) -> RestorationModule:
    """Return what trains the network, taught by `train.teacher` if there is one."""
    parts: dict[str, Any] = {
        "loss": instantiate(cfg.loss),
        "optimizer": instantiate(cfg.optimizer),
        "scheduler": instantiate(cfg.scheduler),
        "channels_last": cfg.train.channels_last,
        "shots": shots,
    }
    if cfg.train.teacher is None:
        return RestorationModule(network, **parts)
    teacher = load_model(folder_of(cfg.train.teacher))
    return DistillationModule(
        network, teacher, output_weight=cfg.train.teacher_weight, feature_weight=0.0, where_better=True, **parts
    )


def hash_training(cfg: PipelineConfig, manifest_sha256: str) -> str:
    """Return the SHA-256 of everything that decides the weights: configuration, data version, fixed pairs.

    The number of processes is not among it, but the batch of all of them together: a training may go on with others.
    """
    whole = asdict(cfg)
    content = {key: whole[key] for key in TRAINING_KEYS}
    content["data"] = {key: value for key, value in whole["data"].items() if not key.startswith("shard")}
    content["data"]["source"] = {key: value for key, value in cfg.data.source.items() if key != "root"}
    processes = count_processes(cfg.trainer)
    content["trainer"] = {key: value for key, value in cfg.trainer.items() if key not in ("num_nodes", "strategy")}
    content["trainer"]["devices"] = 1
    content["data"]["batch_size"] *= processes
    stages = content["data"]["progressive"]
    content["data"]["progressive"] = stages | {"batch": [batch * processes for batch in stages["batch"]]}
    if cfg.data.shards:  # what they hold, not where they are: a training may go on from a bucket
        content["shards"] = hashlib.sha256(shard_store(cfg.data).index()).hexdigest()
    # What a training was given counts, not where that lay.
    content["train"] = {key: value for key, value in whole["train"].items() if key not in ("init", "teacher")}
    content["given"] = [_weights_hash(cfg.train.init), _weights_hash(cfg.train.teacher)]
    content |= {
        "data_md5": data_version(project_root(), cfg.paths.data),
        "manifest": manifest_sha256,
        "torch": torch.__version__,
    }
    if cfg.data.manifest:  # training pairs of an imported dataset: that manifest holds their hashes
        content["imported"] = sha256_file(Path(cfg.data.manifest))
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def make_trainer(
    cfg: PipelineConfig,
    logger: Logger | None,
    history: History,
    checkpoints: Path,
    others: Sequence[L.Callback] = (),
) -> L.Trainer:
    """Build the Trainer with the configured callbacks, those that every training has, and `others`."""
    settings = dict(cfg.trainer)
    settings["precision"] = resolve_precision(str(settings.get("precision", "auto")), str(settings.get("accelerator")))
    configured = [instantiate(node) for node in cfg.callbacks.values() if node]
    callbacks = [StopsAtOnce(), *configured, history, *others]
    if not cfg.trainer.get("fast_dev_run"):
        callbacks.append(
            ModelCheckpoint(
                dirpath=checkpoints, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
            )
        )
    if logger is None:
        callbacks = [callback for callback in callbacks if type(callback).__name__ != "LearningRateMonitor"]
    else:
        callbacks.append(SamplePanels(cfg.train.sample_panels))
    trainer: L.Trainer = instantiate(
        settings,
        logger=logger or False,
        callbacks=callbacks,
        plugins=[KeptCheckpoints()],
        enable_model_summary=False,
        default_root_dir=checkpoints,
    )
    return trainer


def save_training(
    cfg: PipelineConfig, network: nn.Module, model: Mapping[str, Any], *, record: Training, history: History
) -> Training:
    """Save the network (its averaged weights by now) with what builds it, the curve and the record."""
    folder = Path(cfg.paths.train)
    with owned_folder(folder / "model", "train", {"training": record.config_hash}) as new:
        write_lineage(cfg.paths, "train", new, manifest=cfg.data.manifest)
        digest = save_model(network, model, new)
    record = replace(record, model_sha256=digest)
    write_training(record, history.rows, folder)
    return record


def check_training_folder(folder: Path) -> None:
    """Refuse a folder whose model, curve or record unblur did not write: they go together, and the model is marked.

    Raises:
        UnblurError: see `check_owned`.
    """
    check_owned(folder / "model", "train")
    for name in (HISTORY, RECORD):
        check_replaceable(folder / name, lambda file: (file.parent / "model" / MARKER).is_file())


def _weights_hash(model: str | None) -> str | None:
    """Return the SHA-256 of a model's weights, None for no model.

    Raises:
        UnblurError: there is no model.
    """
    if model is None:
        return None
    folder = folder_of(model)
    read_model_config(folder)
    return sha256_file(folder / WEIGHTS)
