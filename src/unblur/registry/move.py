"""A move of the champion, written down before it is made: one that was cut off is finished by whoever comes next.

MLflow sets aliases one by one. The plan of a move is one tag of the registered model, which is set at once; then follow
the aliases, the ledger and the marks of versions, each of which may be done twice; then the tag goes. The caller holds
the registry's lock.
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from unblur.errors import UnblurError
from unblur.registry import ledger
from unblur.registry.ledger import LedgerEntry
from unblur.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, read_aliases, read_version
from unblur.restoring.mlflow_reference import fetched_onnx

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from unblur.registry.versions import Version

PLAN_TAG = "unfinished_move"
ROLLED_BACK = "rolled_back"  # tag of a version that `unblur rollback` has replaced


@dataclass(frozen=True)
class Move:
    """Where the alias `champion` was and is; `moved` is False when there was nothing to do."""

    action: str
    model: str
    before: int | None
    after: int
    moved: bool


def move(client: "MlflowClient", line: LedgerEntry, to: "Version") -> Move:
    """Move the champion as the line of the ledger says, after a look at the file that it would be.

    Raises:
        UnblurError: the stored file of the version `to` cannot be fetched, or is not the one that was registered.
    """
    with fetched_onnx(to.uri):
        pass
    client.set_registered_model_tag(line.model, PLAN_TAG, json.dumps(asdict(line), ensure_ascii=False))
    return _carry_out(client, line)


def finish_interrupted(client: "MlflowClient", name: str) -> Move | None:
    """Finish the move that a killed process has left half done, and return it; None where there is none.

    Where somebody has moved the champion elsewhere since, theirs stays, and the plan is dropped.

    Raises:
        UnblurError: the plan cannot be read.
    """
    aliases = read_aliases(client, name)
    text = client.get_registered_model(name).tags.get(PLAN_TAG) if aliases else None
    if text is None:
        return None
    try:
        line = LedgerEntry(**json.loads(text))
    except (TypeError, ValueError) as error:
        msg = f"The tag {PLAN_TAG} of {name} is no plan of a move ({error}). Remove it in MLflow."
        raise UnblurError(msg) from error
    if aliases.get(CHAMPION) not in (line.before, line.after):
        client.delete_registered_model_tag(name, PLAN_TAG)
        return None
    return _carry_out(client, line)


def _carry_out(client: "MlflowClient", line: LedgerEntry) -> Move:
    name, before, after = line.model, line.before, line.after
    came = read_version(client, name, after)
    if line.action == "rollback":
        reason = f"{line.when} by {line.who}" + (f": {line.why}" if line.why else "")
        client.set_model_version_tag(name, str(before), ROLLED_BACK, reason)
    if before is not None:
        client.set_registered_model_alias(name, PREVIOUS, str(before))
    client.set_registered_model_alias(name, CHAMPION, str(after))
    if line.action == "promote" and read_aliases(client, name).get(CHALLENGER) == after:
        client.delete_registered_model_alias(name, CHALLENGER)
    ledger.append(client, line, str(client.get_run(came.run_id).info.experiment_id))
    if ROLLED_BACK in came.tags:
        client.delete_model_version_tag(name, str(after), ROLLED_BACK)
    client.delete_registered_model_tag(name, PLAN_TAG)
    return Move(line.action, name, before, after, moved=True)
