"""One trial: a training in a process of its own, whose memory goes with it and whose crash ends nothing else."""

import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from torch import nn

    from unblur.config.schema import PipelineConfig

LOG = "train.log"


@dataclass(frozen=True)
class Order:
    """What a trial is to do.

    Attributes:
        overrides: that its configuration is composed of.
        folder: of what it writes.
        checkpoints: folder of its checkpoints, which a lost trial with the same values has left.
        objectives: that are measured of the model in the end.
        asks: whether it asks after each validation whether to go on; the first objective is what it tells then.
        tags: of its run in MLflow.
    """

    overrides: tuple[str, ...]
    folder: Path
    checkpoints: Path
    objectives: tuple[str, ...]
    asks: bool
    tags: dict[str, str]


@dataclass(frozen=True)
class Validated:
    """The trial has validated after so many epochs, and waits for whether to go on."""

    epoch: int
    value: float


@dataclass(frozen=True)
class Ended:
    """The trial has ended by itself: with values, early without any, or with the line of an error."""

    values: tuple[float, ...] | None = None
    error: str | None = None


class TrialFailed(Exception):  # noqa: N818 (what Optuna shall catch, and nobody sees)
    """A training that has failed; the others go on."""


class TrialKilled(TrialFailed):
    """A training whose process was killed."""


def run_trial(order: Order, goes_on: Callable[[int, float], bool]) -> tuple[float, ...] | None:
    """Train in a process of its own, and return the value of each objective; None for one that ended early.

    Args:
        order: what to do.
        goes_on: is told the number of epochs and the first objective after each validation, if the order asks.

    Raises:
        TrialFailed: the training has failed, or was killed; the message is one line.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_train, args=(order, there), name=order.folder.name)
    process.start()
    there.close()
    try:
        while isinstance(said := _next(here), Validated):
            here.send(goes_on(said.epoch, said.value))
        process.join()
        if said is None:
            raise _killed(process, order)
        if said.error is not None:
            raise TrialFailed(said.error)
        return said.values
    finally:
        end(process)
        here.close()


def end(process: BaseProcess, seconds: float = 10) -> None:
    """End a process, by force if it takes longer."""
    if process.is_alive():
        process.terminate()
        process.join(seconds)
        process.kill()
    process.join()


def ends_with_parent() -> None:
    """Let this process be killed when the one that has started it is gone."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _next(pipe: Connection) -> Validated | Ended | None:
    try:
        said: Validated | Ended = pipe.recv()
    except (EOFError, ConnectionResetError):
        return None
    return said


def _killed(process: BaseProcess, order: Order) -> TrialFailed:
    code = process.exitcode or 0
    log = order.folder / LOG
    if code == -signal.SIGKILL:
        return TrialKilled(f"its process was killed, most often for want of memory; see {log}")
    if code - 128 in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        return TrialKilled(f"its process was stopped by {signal.Signals(code - 128).name}")
    if code < 0:
        return TrialFailed(f"its process was ended by {signal.Signals(-code).name}; see {log}")
    return TrialFailed(f"its process has ended without a word (exit code {code}); see {log}")


def _train(order: Order, pipe: Connection) -> None:
    """Train, measure and tell the parent; what is printed goes into the trial's log."""
    from unblur.config.entry import Stopped, catch_signals
    from unblur.config.failures import explain
    from unblur.safety.secrets import mask_output, masked

    ends_with_parent()
    catch_signals()
    with (order.folder / LOG).open("a", encoding="utf-8") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
    mask_output()
    try:
        told = Ended(values=_measured(order, pipe))
    except Stopped:
        raise
    except Exception as error:
        traceback.print_exc()
        text = str(error) if isinstance(error, UnblurError) else explain(error)
        told = Ended(error=masked(" ".join((text or f"{type(error).__name__}: {error}").split()))[:500])
    sys.stdout.flush()
    with suppress(BrokenPipeError):
        pipe.send(told)


def _measured(order: Order, pipe: Connection) -> tuple[float, ...] | None:
    from unblur.config.compose import checked, compose
    from unblur.config.root import require_inside
    from unblur.training.callbacks import EndsEarly
    from unblur.training.fit import fit

    def goes_on(epoch: int, value: float) -> bool:
        pipe.send(Validated(epoch, value))
        return bool(pipe.recv())

    logging.basicConfig(format="%(message)s")
    logging.getLogger("unblur").setLevel(logging.INFO)
    cfg = checked(compose(order.overrides))
    require_inside(cfg.paths)
    cfg.paths = replace(cfg.paths, train=str(order.folder / "train"), checkpoints=str(order.checkpoints))
    if order.tags:
        os.environ["MLFLOW_RUN_CONTEXT"] = json.dumps(order.tags)  # what MLflow gives each run that begins here
    ends = EndsEarly(order.objectives[0], goes_on)
    record = fit(cfg, *([ends] if order.asks else []))
    if ends.ended:
        return None
    values = measure(cfg, order.objectives)
    if record.run_id:
        _log(record.run_id, dict(zip(order.objectives, values, strict=True)))
    return values


def measure(cfg: "PipelineConfig", objectives: Sequence[str]) -> tuple[float, ...]:
    """Return the value of each objective for the model that was saved.

    Not what the last validation gave: `train.init_share` changes the weights after it.
    """
    from unblur.compression.deployed_latency import deployed_latency
    from unblur.training.weights import WEIGHTS, load_model

    model = Path(cfg.paths.train) / "model"
    found: dict[str, float] = {}
    if any(name.startswith("val/") for name in objectives):
        found |= _validated(cfg, load_model(model))
    if "latency_ms" in objectives:
        found["latency_ms"] = deployed_latency(load_model(model).eval(), cfg.train.threads)
    if "size_mb" in objectives:
        found["size_mb"] = (model / WEIGHTS).stat().st_size / 1e6
    return tuple(found[name] for name in objectives)


def _validated(cfg: "PipelineConfig", network: "nn.Module") -> dict[str, float]:
    """Return what a validation logs, of these weights on the validation pairs."""
    from unblur.training.callbacks import History
    from unblur.training.datamodule import restoration_data
    from unblur.training.fit import make_module, make_trainer

    plain = replace(cfg, callbacks={})
    trainer = make_trainer(plain, None, History(), Path(cfg.paths.checkpoints))
    (logged,) = trainer.validate(
        make_module(plain, network, shots=None), datamodule=restoration_data(plain), verbose=False
    )
    return {name: float(value) for name, value in logged.items()}


def _log(run_id: str, values: dict[str, float]) -> None:
    """Log the objectives to the trial's run; a server that has gone away is told of by the training itself."""
    from unblur.config.tracking import store_errors, tracking_client

    with suppress(UnblurError), store_errors():
        client = tracking_client()
        for name, value in values.items():
            client.log_metric(run_id, f"sweep/{name}", value)
