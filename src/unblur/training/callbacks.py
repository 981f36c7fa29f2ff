"""Lightning callbacks: the training curve as a table, sample panels and the machine's load in MLflow."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from unblur.config.entry import catch_signals
from unblur.records.training import Step
from unblur.training.module import Batch, as_images
from unblur.training.tracking_logger import TrackingLogger

log = logging.getLogger(__name__)


class StopsAtOnce(L.Callback):
    """Ends all processes of a training when one of them is stopped or fails.

    Lightning's own handler of SIGTERM talks to the other processes in the middle of a step, which may wait for ever,
    and ends with exit code 0.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the signals back."""
        catch_signals()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """End the processes that this one has started: they wait for it, and write nothing."""
        started = getattr(trainer.strategy.launcher, "procs", [])
        for process in started:
            process.kill()
        started.clear()  # else Lightning's watch over them kills this process before it has told why


class History(L.Callback):
    """Keeps one row a validation: step, mean training loss since the last one, validation PSNR in dB.

    The rows travel in the checkpoint, so that a resumed training has the whole curve.
    """

    def __init__(self) -> None:
        self.rows: list[Step] = []
        self._loss_sum = 0.0
        self._loss_count = 0

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Mapping[str, Any],
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Add the batch's loss."""
        self._loss_sum += float(outputs["loss"])
        self._loss_count += 1

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close a row."""
        if trainer.sanity_checking:
            return
        own = torch.tensor([self._loss_sum, self._loss_count], dtype=torch.float64, device=pl_module.device)
        total, count = trainer.strategy.reduce(own, reduce_op="sum").tolist()  # of all processes
        loss = total / max(1, count)
        psnr, gain = (float(trainer.callback_metrics[name]) for name in ("val/psnr", "val/gain"))
        self.rows.append(Step(trainer.global_step, loss, psnr))
        log.info("step %d: loss %.5f, PSNR %.2f dB, gain %+.2f dB", trainer.global_step, loss, psnr, gain)
        self._loss_sum, self._loss_count = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """Return plain values, as resume reads checkpoints without pickle."""
        return {"rows": [asdict(row) for row in self.rows], "loss_sum": self._loss_sum, "loss_count": self._loss_count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint stopped."""
        self.rows = [Step(**row) for row in state_dict["rows"]]
        self._loss_sum, self._loss_count = state_dict["loss_sum"], state_dict["loss_count"]


class EndsEarly(L.Callback):
    """Ends a training after a validation that is not good enough, as it would end by itself: with a saved model.

    Args:
        metric: that is logged at validation, such as val/psnr.
        goes_on: is told the number of epochs and the metric; False ends the training. After the last epoch it is only
            told.
    """

    def __init__(self, metric: str, goes_on: Callable[[int, float], bool]) -> None:
        self.metric, self.goes_on = metric, goes_on
        self.ended = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ask whether to go on."""
        if trainer.sanity_checking:
            return
        epochs = trainer.current_epoch + 1
        goes_on = self.goes_on(epochs, float(trainer.callback_metrics[self.metric]))
        self.ended = not goes_on and epochs != trainer.max_epochs
        trainer.should_stop = trainer.should_stop or self.ended


class SamplePanels(L.Callback):
    """Logs blurred | restored | sharp of the first validation pairs to MLflow at each validation."""

    def __init__(self, count: int) -> None:
        self.count = count

    def on_validation_batch_end(  # noqa: PLR0917 (Lightning's signature)
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Mapping[str, Tensor],
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Log one panel, of what the averaged weights have restored."""
        logger = trainer.logger
        if batch_idx >= self.count or not trainer.is_global_zero or not isinstance(logger, TrackingLogger):
            return
        if trainer.sanity_checking:
            return
        first = [as_images(images)[0] for images in (batch["blur"], outputs["restored"], batch["sharp"])]
        panel = torch.cat(first, dim=-1)  # (3, H, 3W)
        image = (panel.cpu().numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
        key = batch["key"][0].replace("/", "_").replace("#", "_")
        logger.log_image(image, f"panel_{key}", trainer.global_step)


class MachineMetrics(L.Callback):
    """Logs the load of processors and memory (and GPUs) to MLflow while training runs, by MLflow's own monitors.

    Args:
        interval: seconds between two samples.
    """

    def __init__(self, interval: float = 15.0) -> None:
        self.interval = interval
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the sampling thread."""
        if trainer.is_global_zero and isinstance(trainer.logger, TrackingLogger):
            self._end.clear()
            self._thread = threading.Thread(target=self._sample, args=(trainer, trainer.logger), daemon=True)
            self._thread.start()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Stop it, also after an error."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _sample(self, trainer: L.Trainer, logger: TrackingLogger) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run_id=None)  # it only reads; the logger sends
        ended = False
        while not ended:
            monitor.collect_metrics()
            ended = self._end.wait(self.interval)
            figures = monitor.aggregate_metrics()
            for each in monitor.monitors:
                each.clear_metrics()
            logger.log_metrics({f"system/{name}": value for name, value in figures.items()}, trainer.global_step)
