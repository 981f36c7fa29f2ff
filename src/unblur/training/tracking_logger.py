"""Lightning's MLflow logger, for a server that may go away: training goes on, and what it had to say is kept."""

import logging
import threading
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import MLFlowLogger
from numpy.typing import NDArray

from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import StoreSilentError, UnblurError
from unblur.training.unsent import Entry, Unsent, send, send_unsent

log = logging.getLogger(__name__)


class TrackingLogger(MLFlowLogger):
    """Sends to MLflow while it answers; from its first failure on, keeps everything in a folder, told once.

    At the end of the training what was kept is sent if the server is there again; else `unblur sync-metrics` does it.
    Safe to be called from several threads. Only the first process of a training has one.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401
        from unblur.config.masked_client import MaskedClient

        super().__init__(**settings)
        self._initialized = False
        self._mlflow_client = MaskedClient(self._tracking_uri)
        self._unsent: Unsent | None = None
        self._kept_in: Path | None = None
        self._lock_all = threading.RLock()

    def open(self, folder: Path, silent: StoreSilentError | None = None) -> None:
        """Open the run, or make it; `folder` is where to keep what cannot be sent.

        Args:
            folder: need not exist.
            silent: the server has not answered already.

        Raises:
            UnblurError: the store refuses the run.
        """
        self._kept_in = folder
        try:
            if silent:
                raise silent
            with store_errors():
                _ = self.experiment
        except StoreSilentError as error:
            self._lose(error)

    @property
    def unsent(self) -> Path | None:
        """The folder of what was not sent; None while all was."""
        return self._unsent.folder if self._unsent else None

    @property
    def experiment(self) -> Any:  # noqa: ANN401
        """MLflow's client; making the run is what the first use does."""
        return self._mlflow_client if self._unsent else super().experiment

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Send parameters, flattened as Lightning does it."""
        from lightning.fabric.utilities.logger import _convert_params, _flatten_dict

        rows = [(key, str(value)[:250]) for key, value in _flatten_dict(_convert_params(params)).items()]
        for start in range(0, len(rows), 100):  # the most that MLflow takes at once
            self._send({"kind": "params", "params": rows[start : start + 100]})

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send metrics of one step."""
        now = int(time.time() * 1000)
        rows = [(key, float(value), now, step or 0) for key, value in metrics.items()]
        self._send({"kind": "metrics", "metrics": rows})

    def log_text(self, text: str, file: str) -> None:
        """Send a text as a file."""
        self._send({"kind": "text", "text": text, "file": file})

    def log_image(self, image: NDArray[np.uint8], key: str, step: int) -> None:
        """Send a picture, (H, W, 3) RGB."""
        self._send({"kind": "image", "image": image, "key": key, "step": step})

    def finalize(self, status: str = "success") -> None:
        """End the run; what was kept is sent now if the server is there again."""
        if not self._initialized and self._unsent is None:
            return
        self._send({"kind": "status", "status": "FAILED" if status == "failed" else "FINISHED"})
        if self._unsent is None:
            return
        self._unsent.end()
        if status == "failed":
            return  # the same command goes on later
        try:
            with store_errors():
                self._run_id = send_unsent(tracking_client(), self._unsent.folder)
            self._unsent, self._initialized = None, True
        except UnblurError:
            log.debug("still nobody there", exc_info=True)  # told before

    def _send(self, entry: Entry) -> None:
        with self._lock_all:
            if self._unsent is None:
                try:
                    with store_errors():
                        send(self.experiment, self.run_id, entry)
                    return
                except UnblurError as error:
                    self._lose(error)
            if self._unsent is not None:
                self._unsent.keep(entry)

    def _lose(self, error: UnblurError) -> None:
        """Send nothing from now on, and say so once."""
        if self._kept_in is None:
            raise error
        self._unsent = Unsent(self._kept_in)
        self._unsent.begin(self._experiment_name, self._run_id, self.tags or {})
        where = f"its metrics are kept in {self._kept_in}, and are sent at its end or by `unblur sync-metrics`"
        log.warning("%s; training goes on: %s", error, where)
