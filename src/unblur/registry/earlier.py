"""Ledgers of before: moves as numbered tags of a run, or as lines of its file ledger.jsonl.

They are read and never written: they are the beginning of the ledger of today. A move that was cut off by a kill was
a tag of the registered model; whoever moves the champion next makes it.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException

from unblur.errors import UnblurError
from unblur.registry.entry import LedgerEntry

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "ledger.jsonl"
RUN_TAG = "ledger_run"
MOVE_TAG = "move."
PLAN_TAG = "unfinished_move"


def read_moves(client: "MlflowClient", model: str, tags: Mapping[str, str]) -> list[LedgerEntry]:
    """Return the moves of the run that the tags of a registered model name, oldest first.

    Raises:
        UnblurError: a line cannot be read, or the run is gone.
    """
    if RUN_TAG not in tags:
        return []
    run_id = tags[RUN_TAG]
    noted = _tags(client, run_id, model)
    lines = [*_file(client, run_id), *(noted[key] for key in sorted(noted) if key.startswith(MOVE_TAG))]
    try:
        return [LedgerEntry(**json.loads(line)) for line in lines]
    except (TypeError, ValueError) as error:
        msg = f"Run {run_id}, the ledger of {model}, has a line that is no entry ({error}). Mend it in MLflow."
        raise UnblurError(msg) from error


def read_plan(model: str, tags: Mapping[str, str]) -> LedgerEntry | None:
    """Return the move that a killed process has left half done, None where there is none.

    Raises:
        UnblurError: it cannot be read.
    """
    if PLAN_TAG not in tags:
        return None
    try:
        return LedgerEntry(**json.loads(tags[PLAN_TAG]))
    except (TypeError, ValueError) as error:
        msg = f"The tag {PLAN_TAG} of {model} is no plan of a move ({error}). Remove it in MLflow."
        raise UnblurError(msg) from error


def _tags(client: "MlflowClient", run_id: str, model: str) -> dict[str, str]:
    try:
        return dict(client.get_run(run_id).data.tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        msg = (
            f"Run {run_id}, the ledger of {model}, is gone for ever, and with it who moved the champion when. "
            f"To go on without it, remove the tag {RUN_TAG} of {model} in MLflow."
        )
        raise UnblurError(msg) from error


def _file(client: "MlflowClient", run_id: str) -> list[str]:
    if FILE not in {item.path for item in client.list_artifacts(run_id)}:
        return []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(run_id, FILE, folder)).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line]
