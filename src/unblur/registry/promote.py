"""Make the candidate that passed the gate the champion.

MLflow cannot swap an alias atomically. So the champion is read and moved under the registry's lock, and has to be the
one that the gate compared with (and the one of --expect-champion, if given).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.provenance import data_version
from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import GateRefusedError
from unblur.registry import ledger
from unblur.registry.lock import registry_lock
from unblur.registry.move import ROLLED_BACK, Move, called, finish_interrupted, move, require_champion
from unblur.registry.record import find_record
from unblur.registry.versions import CHAMPION, PREVIOUS, Version, candidate_version, read_aliases

if TYPE_CHECKING:
    from mlflow import MlflowClient


@store_errors()
def promote(
    name: str,
    root: Path,
    registry_folder: Path,
    *,
    expected: int | None = None,
    why: str = "",
    by: str | None = None,
    again: bool = False,
) -> Move:
    """Move `champion` to the candidate; `previous_champion` is then where a rollback would end.

    A move that was killed before its end is finished first.

    Args:
        name: the registered model.
        root: the project's root, whose data.dvc tells the version of the data.
        registry_folder: where gate.json is; without one that belongs to the candidate, MLflow's copy is taken.
        expected: number of the version that has to be champion now, 0 for none, None for any.
        why: reason, for the ledger.
        by: name, for the ledger; None takes the user of this process.
        again: promote a version that was rolled back before.

    Raises:
        GateRefusedError: the gate has not passed this file on this data, or the version was rolled back.
        UnblurError: there is no candidate, or another version is champion than was expected, or the stored file
            is not the one that was registered.
    """
    client = tracking_client()
    candidate_version(client, name, read_aliases(client, name))
    with registry_lock(client, name):
        finished = finish_interrupted(client, name)
        aliases = read_aliases(client, name)
        candidate = candidate_version(client, name, aliases)
        if aliases.get(CHAMPION) == candidate.number:
            previous = aliases.get(PREVIOUS)
            return finished or Move("promote", name, candidate.number, candidate.number, moved=False, previous=previous)
        judged = _judged_champion(client, candidate, root, registry_folder, again=again)
        _check_champion(name, aliases, judged, expected)
        return move(client, ledger.entry("promote", name, judged, candidate.number, why=why, by=by), candidate)


def _judged_champion(
    client: "MlflowClient", candidate: Version, root: Path, registry_folder: Path, *, again: bool
) -> int | None:
    """Return the champion that a favourable verdict about this very candidate and data has compared with."""
    if candidate.tags.get(ROLLED_BACK) and not again:
        reason = candidate.tags[ROLLED_BACK]
        msg = f"{candidate} was rolled back ({reason}). To promote it anyhow: `unblur promote --again`."
        raise GateRefusedError(msg)
    record = find_record(client, candidate, registry_folder)
    if record is None:
        msg = f"{candidate} has not been through the gate. Run `unblur gate` first."
        raise GateRefusedError(msg)
    record.require_passed()
    judged, data_now = record.subject, data_version(root)
    if judged.candidate_sha256 != candidate.sha256:
        msg = f"The gate has judged another file than {candidate} holds. Run `unblur gate` again."
        raise GateRefusedError(msg)
    if judged.data_md5 != data_now:
        msg = f"The gate has judged {candidate} on data {judged.data_md5}, data.dvc is now at {data_now}. "
        raise GateRefusedError(msg + "Run `dvc repro` and `unblur gate` again.")
    return judged.champion


def _check_champion(name: str, aliases: Mapping[str, int], judged: int | None, expected: int | None) -> None:
    require_champion(name, aliases, expected)
    now = aliases.get(CHAMPION)
    if now != judged:
        msg = (
            f"The gate compared with {called(name, judged)} as champion, but by now it is {called(name, now)}. "
            "Run `unblur gate` again."
        )
        raise GateRefusedError(msg)
