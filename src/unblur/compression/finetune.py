"""Trains a compressed network for a while, taught by the one that it came from."""

import copy
import hashlib
import json
import shutil
from pathlib import Path

import lightning as L
from torch import nn

from unblur.config.instantiate import instantiate
from unblur.config.schema import FinetuneConfig, PipelineConfig
from unblur.safety.hashing import sha256_file
from unblur.training.callbacks import History
from unblur.training.datamodule import restoration_data
from unblur.training.distillation import DistillationModule
from unblur.training.fit import hash_training, make_trainer


def finetune(
    cfg: PipelineConfig, student: nn.Module, teacher: nn.Module, settings: FinetuneConfig, name: str
) -> History:
    """Train `student` in place and return its curve.

    Data, loss, optimizer and schedule are those of the first training. What was interrupted goes on from its last
    epoch.

    Args:
        cfg: of the training.
        student: is trained; its averaged weights are in it afterwards.
        teacher: stays as it is.
        settings: epochs of `data.steps_per_epoch` steps, the learning rate, the weights of the distances.
        name: of this training, unique within the pipeline.
    """
    cfg = copy.deepcopy(cfg)
    cfg.trainer |= {"max_epochs": settings.epochs, "check_val_every_n_epoch": max(1, settings.epochs // 4)}
    if settings.lr is not None:
        cfg.optimizer["lr"] = settings.lr
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    taught = {key: list(tensor.shape) for key, tensor in student.state_dict().items()}
    teachers = sha256_file(Path(cfg.paths.train) / "model" / "model.safetensors")
    whole = hash_training(cfg, sha256_file(Path(cfg.paths.prepared) / "manifest.csv"))
    key = hashlib.sha256(json.dumps([name, whole, teachers, taught, vars(settings)]).encode()).hexdigest()
    checkpoints = Path(cfg.paths.checkpoints) / key[:16]
    module = DistillationModule(
        student,
        copy.deepcopy(teacher),
        output_weight=settings.output_weight,
        feature_weight=settings.feature_weight,
        loss=instantiate(cfg.loss),
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
        channels_last=cfg.train.channels_last,
    )
    history = History()
    trainer = make_trainer(cfg, None, history, checkpoints)
    last = checkpoints / "last.ckpt"
    resumed = cfg.train.resume and last.is_file()
    student.train()
    trainer.fit(module, datamodule=restoration_data(cfg), ckpt_path=str(last) if resumed else None, weights_only=True)
    student.eval()
    if trainer.is_global_zero:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return history
