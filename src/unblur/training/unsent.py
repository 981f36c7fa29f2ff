"""What a training could not send to MLflow: kept in a folder, line by line, and sent later."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from unblur.config.tracking import ensure_experiment, is_active
from unblur.data.images import read_rgb, write_png
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.secrets import masked_values

if TYPE_CHECKING:
    from mlflow import MlflowClient

UNSENT = "unsent"
"""Folder at the project's root: one folder in it for each training whose server went away."""
JOURNAL = "journal.jsonl"
BATCH = 1000  # metrics that MLflow takes at once

Entry = dict[str, Any]
"""One thing to send. `kind` is run, params, metrics, text, image or status; the rest depends on it."""


class Unsent:
    """The folder of one training, open for writing; the system's lock on it tells others that it is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(f"{folder}.lock")
        self._images = 0

    def begin(self, experiment: str, run_id: str | None, tags: Mapping[str, Any]) -> None:
        """Open it, or go on with what an interrupted training of the same settings has kept.

        Raises:
            UnblurError: another process is writing or sending it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        _hold(self._lock, self.folder)
        if not (self.folder / JOURNAL).is_file():
            now = int(time.time() * 1000)
            self.keep({"kind": "run", "experiment": experiment, "run_id": run_id, "tags": dict(tags), "start": now})

    def keep(self, entry: Entry) -> None:
        """Append one entry; of an image, its pixels (H, W, 3) uint8 go into a file of their own."""
        if entry["kind"] == "image":
            self._images += 1
            name = f"{time.time_ns()}_{self._images}.png"
            write_png(self.folder / name, entry["image"])
            entry = {**entry, "image": name}
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(masked_values(entry)) + "\n")

    def end(self) -> None:
        """Let others send it."""
        self._lock.release()


def waiting(root: Path) -> list[Path]:
    """Return the folders of the trainings that have something to send."""
    return sorted(path.parent for path in (root / UNSENT).glob(f"*/{JOURNAL}"))


def send_unsent(client: "MlflowClient", folder: Path) -> str:
    """Send all that a training has kept to its run, remove the folder, and return the run's id.

    A run that the server has never seen, or has lost, is made. Sending again after an interruption does no harm: MLflow
    knows a metric by its name, step and time.

    Raises:
        UnblurError: the training is still writing it, or the journal has no beginning.
    """
    lock = FileLock(f"{folder}.lock")
    _hold(lock, folder)
    try:
        entries = _read(folder / JOURNAL)
        run_id = _run(client, folder, entries)
        for entry in _joined(entries[1:]):
            if entry["kind"] == "image":
                entry["image"] = read_rgb(folder / entry["image"])
            send(client, run_id, entry)
        shutil.rmtree(folder)
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
    return run_id


def send(client: "MlflowClient", run_id: str, entry: Entry) -> None:
    """Send one entry to a run."""
    from mlflow.entities import Metric, Param

    kind = entry["kind"]
    if kind == "metrics":
        client.log_batch(run_id, metrics=[Metric(*metric) for metric in entry["metrics"]])
    elif kind == "params":
        client.log_batch(run_id, params=[Param(*param) for param in entry["params"]])
    elif kind == "text":
        client.log_text(run_id, entry["text"], entry["file"])
    elif kind == "image":
        image: NDArray[np.uint8] = entry["image"]
        client.log_image(run_id, image, key=entry["key"], step=entry["step"], synchronous=True)
    elif kind == "status":
        client.set_terminated(run_id, entry["status"])


def _run(client: "MlflowClient", folder: Path, entries: Sequence[Entry]) -> str:
    if not entries or entries[0]["kind"] != "run":
        msg = f"{folder / JOURNAL}: does not say which training it is of; remove {folder} if it is of no use"
        raise UnblurError(msg)
    first = entries[0]
    run_id = first["run_id"]
    if run_id is not None and is_active(client, run_id):
        return str(run_id)
    experiment = ensure_experiment(client, first["experiment"])
    run_id = str(client.create_run(experiment, start_time=first["start"], tags=first["tags"]).info.run_id)
    with replacing(folder / JOURNAL) as unfinished:  # before anything is sent, so that a kill does not make two runs
        lines = [json.dumps(entry) for entry in ({**first, "run_id": run_id}, *entries[1:])]
        unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run_id


def _joined(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the entries, metrics in as few as MLflow takes; the status comes last."""
    metrics = [metric for entry in entries if entry["kind"] == "metrics" for metric in entry["metrics"]]
    for start in range(0, len(metrics), BATCH):
        yield {"kind": "metrics", "metrics": metrics[start : start + BATCH]}
    others = [entry for entry in entries if entry["kind"] != "metrics"]
    yield from sorted(others, key=lambda entry: entry["kind"] == "status")


def _read(path: Path) -> list[Entry]:
    """Read a journal; a line that a kill has cut off, which can only be the last, is left out."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def _hold(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        msg = f"{folder}: another process is writing or sending it; wait until that has ended"
        raise UnblurError(msg) from error
