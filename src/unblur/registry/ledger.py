"""Who moved the alias `champion`, when, from what to what, and why: one line a move, kept in MLflow.

MLflow has no history of aliases. The ledger is a run of its own, which the registered model names in its tag
`ledger_run`; each move is a tag of that run, numbered, as JSON. A tag is set at once or not at all, where an upload
may be cut off. Ledgers of before have a file ledger.jsonl, whose lines come first. The caller of an append holds
the registry's lock.
"""

import getpass
import json
import logging
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

FILE = "ledger.jsonl"
RUN_TAG = "ledger_run"
MOVE_TAG = "move."
LONGEST = 1000  # characters of a reason or a name: MLflow cuts long tags off


@dataclass(frozen=True)
class LedgerEntry:
    """One move of the champion; `before` and `after` are version numbers, `when` is UTC in ISO 8601."""

    when: str
    who: str
    action: str
    model: str
    before: int | None
    after: int
    why: str


def entry(action: str, model: str, before: int | None, after: int, *, why: str, by: str | None) -> LedgerEntry:
    """Return an entry of this moment; without `by` it names the user of this process."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return LedgerEntry(now, (by or current_user())[:LONGEST], action, model, before, after, why[:LONGEST])


def current_user() -> str:
    """Return the user's name as the environment or the system has it, "unknown" in a container without users."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def append(client: "MlflowClient", added: LedgerEntry, experiment_id: str) -> None:
    """Add a line to the ledger of `added.model` unless it is there; a new ledger gets its run in the experiment."""
    entries = read_ledger(client, added.model)
    if added in entries:
        return
    run_id = _run_id(client, added.model)
    if run_id is None:
        run = client.create_run(experiment_id, run_name="ledger", tags={"role": "ledger", "model": added.model})
        run_id = str(run.info.run_id)
        client.set_terminated(run_id)
        client.set_registered_model_tag(added.model, RUN_TAG, run_id)
    elif client.get_run(run_id).info.lifecycle_stage == "deleted":  # which takes no tags, but can be read
        client.restore_run(run_id)
        log.warning("the run %s, the ledger of %s, was deleted: restored", run_id, added.model)
    client.set_tag(run_id, f"{MOVE_TAG}{len(entries):06d}", json.dumps(asdict(added), ensure_ascii=False))


def read_ledger(client: "MlflowClient", model: str) -> list[LedgerEntry]:
    """Return every entry of a model's ledger, oldest first; none when nothing was promoted yet.

    Raises:
        UnblurError: a line of the ledger cannot be read, or its run is gone.
    """
    run_id = _run_id(client, model)
    if run_id is None:
        return []
    tags = _tags(client, run_id, model)
    lines = [*_file(client, run_id), *(tags[key] for key in sorted(tags) if key.startswith(MOVE_TAG))]
    try:
        return [LedgerEntry(**json.loads(line)) for line in lines]
    except (TypeError, ValueError) as error:
        msg = f"Run {run_id}, the ledger of {model}, has a line that is no entry ({error}). Mend it in MLflow."
        raise UnblurError(msg) from error


def _tags(client: "MlflowClient", run_id: str, model: str) -> dict[str, str]:
    try:
        return dict(client.get_run(run_id).data.tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        msg = (
            f"Run {run_id}, the ledger of {model}, is gone for ever, and with it who moved the champion when. "
            f"To begin a new one, remove the tag {RUN_TAG} of {model} in MLflow."
        )
        raise UnblurError(msg) from error


def _file(client: "MlflowClient", run_id: str) -> list[str]:
    """Return the lines of a ledger's file, of before."""
    if FILE not in {item.path for item in client.list_artifacts(run_id)}:
        return []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(run_id, FILE, folder)).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line]


def _run_id(client: "MlflowClient", model: str) -> str | None:
    try:
        tags = client.get_registered_model(model).tags
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return str(tags[RUN_TAG]) if RUN_TAG in tags else None
