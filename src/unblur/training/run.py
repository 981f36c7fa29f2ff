"""The run in MLflow that belongs to a training: a new one, or the one that an interruption has left."""

import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch.loggers import Logger

from unblur.config.instantiate import instantiate
from unblur.config.processes import is_first_process
from unblur.config.provenance import data_version, git_state
from unblur.config.root import project_root
from unblur.config.schema import PipelineConfig
from unblur.config.tracking import ensure_experiment, is_active, tracking_client, tracking_uri
from unblur.errors import StoreSilentError
from unblur.safety.atomic import replacing
from unblur.training.tracking_logger import TrackingLogger
from unblur.training.unsent import UNSENT, send_unsent, waiting

# What decides the weights. Two runs that agree in these may continue each other's checkpoint.
TRAINING_KEYS = (
    *("seed", "data", "blur", "augment", "model"),
    *("loss", "optimizer", "scheduler", "trainer", "callbacks", "train"),
)


def make_logger(cfg: PipelineConfig, training_hash: str, checkpoints: Path) -> Logger | None:
    """Build the logger; an MLflow run that was interrupted goes on under its own id.

    Where the server does not answer, the training begins all the same, and the logger keeps what it is told.

    Raises:
        UnblurError: the store is damaged, or refuses the user.
    """
    if not cfg.logger or cfg.trainer.get("fast_dev_run"):
        return None
    if not is_first_process():
        return None  # Only the first process logs.
    note, unsent = checkpoints / "mlflow_run_id", project_root() / UNSENT / training_hash[:16]
    run_id = (note.read_text(encoding="utf-8").strip() or None) if cfg.train.resume and note.is_file() else None
    silent = None
    try:
        client = tracking_client()
        ensure_experiment(client, cfg.registry.experiment)
        if unsent in waiting(project_root()):
            run_id = send_unsent(client, unsent)
        if run_id and not is_active(client, run_id):
            run_id = None
    except StoreSilentError as error:
        silent = error
    logger: Logger = instantiate(
        cfg.logger,
        experiment_name=cfg.registry.experiment,
        tracking_uri=tracking_uri(),
        run_id=run_id,
        tags=_tags(cfg, training_hash),
    )
    if isinstance(logger, TrackingLogger):
        goes_on = run_id is not None or (silent is not None and unsent in waiting(project_root()))
        logger.open(unsent, silent)
        with replacing(note) as unfinished:
            unfinished.write_text(logger.run_id or "", encoding="utf-8")
        if not goes_on:
            whole = asdict(cfg)
            logger.log_hyperparams({key: whole[key] for key in TRAINING_KEYS})
            logger.log_text(yaml.safe_dump(whole, sort_keys=False), "config.yaml")
    return logger


def _tags(cfg: PipelineConfig, training_hash: str) -> dict[str, Any]:
    git = git_state(project_root())
    return {
        "git_sha": git.sha,
        "git_dirty": git.dirty,
        "data_md5": data_version(project_root(), cfg.paths.data),
        "config_hash": training_hash,
        "model": str(cfg.model.get("_target_")),
        "system.cpu": str(torch.cpu.get_capabilities().get("cpu_name", platform.processor())),
        "system.cores": str(os.cpu_count()),
        "system.gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "system.python": platform.python_version(),
        "system.torch": torch.__version__,
    }
