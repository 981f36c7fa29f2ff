"""A move of the champion, written down before it is made: one that was cut off is finished by whoever comes next.

MLflow sets aliases one by one. The plan of a move is one tag of the registered model, which is set at once; then follow
the marks of versions, the aliases and the ledger, each of which may be done twice; then the tag goes. The caller holds
the registry's lock.

The alias `previous_champion` is where a rollback would end: the last champion of the ledger that was not rolled back.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from unblur.errors import NoModelVersionError, UnblurError, UsageError
from unblur.registry import ledger
from unblur.registry.ledger import LedgerEntry
from unblur.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, read_aliases, read_version
from unblur.runtimes.mlflow_reference import fetched_graph

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from unblur.registry.versions import Version

PLAN_TAG = "unfinished_move"
ROLLED_BACK = "rolled_back"  # tag of a version that `unblur rollback` has replaced


@dataclass(frozen=True)
class Move:
    """Where the alias `champion` was and is; `moved` is False when there was nothing to do.

    `previous` is where a rollback would end now, None for nowhere.
    """

    action: str
    model: str
    before: int | None
    after: int
    moved: bool
    previous: int | None = None


def parse_expected(text: str | None) -> int | None:
    """Turn the value of --expect-champion, a version number or "none", into a number; "none" gives 0.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    if text == "none":
        return 0
    if text.isdecimal() and int(text) > 0:
        return int(text)
    msg = f"--expect-champion {text!r} is not understood. Give a version number, such as 3, or none."
    raise UsageError(msg)


def require_champion(name: str, aliases: Mapping[str, int], expected: int | None) -> None:
    """Refuse to go on where another version is champion than was expected; None expects nothing, 0 no champion.

    Raises:
        UnblurError: it is another one.
    """
    now = aliases.get(CHAMPION)
    if expected is not None and (now or 0) != expected:
        msg = f"Expected {called(name, expected)} as champion, found {called(name, now)}. Nothing was changed."
        raise UnblurError(msg)


def called(name: str, number: int | None) -> str:
    """Return a version as messages name it."""
    return f"{name} v{number}" if number else "no version"


def last_good(client: "MlflowClient", name: str, aliases: Mapping[str, int]) -> int | None:
    """Return the last version that was champion before the present one, is still there and was not rolled back.

    The ledger tells; for a champion that was set without unblur, the alias `previous_champion` does.
    """
    numbers = [number for line in reversed(ledger.read_ledger(client, name)) for number in (line.after, line.before)]
    for number in dict.fromkeys([*numbers, aliases.get(PREVIOUS)]):
        if number is None or number == aliases.get(CHAMPION):
            continue
        try:
            version = read_version(client, name, number)
        except NoModelVersionError:
            continue  # it was deleted
        if ROLLED_BACK not in version.tags:
            return number
    return None


def move(client: "MlflowClient", line: LedgerEntry, to: "Version") -> Move:
    """Move the champion as the line of the ledger says, after a look at the file that it would be.

    Raises:
        UnblurError: the stored file of the version `to` cannot be fetched, or is not the one that was registered.
    """
    fetched_graph(to.uri)
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
    client.set_registered_model_alias(name, CHAMPION, str(after))
    if line.action == "promote" and read_aliases(client, name).get(CHALLENGER) == after:
        client.delete_registered_model_alias(name, CHALLENGER)
    ledger.append(client, line, str(client.get_run(came.run_id).info.experiment_id))
    if ROLLED_BACK in came.tags:
        client.delete_model_version_tag(name, str(after), ROLLED_BACK)
    aliases = read_aliases(client, name)
    previous = last_good(client, name, aliases)
    if previous is not None:
        client.set_registered_model_alias(name, PREVIOUS, str(previous))
    elif PREVIOUS in aliases:
        client.delete_registered_model_alias(name, PREVIOUS)
    client.delete_registered_model_tag(name, PLAN_TAG)
    return Move(line.action, name, before, after, moved=True, previous=previous)
