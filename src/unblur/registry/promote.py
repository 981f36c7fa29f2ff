"""Make the candidate that passed the gate the champion.

The champion that it replaces has to be the one that the gate compared with, and that of --expect-champion if given. So
of several who promote at once one moves it, and the others find another champion than they were told of.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.provenance import data_version
from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import GateRefusedError
from unblur.registry.entry import entry
from unblur.registry.ledger import Ledger
from unblur.registry.move import Move, called, move, require_champion
from unblur.registry.projection import champion_now, finish_interrupted, reason_rolled_back
from unblur.registry.record import find_record
from unblur.registry.versions import PREVIOUS, Version, candidate_version, read_aliases

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

    Where a process was killed before the aliases showed its move, they are brought up to date first.

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
    ledger = Ledger(client, name)
    while True:  # until the move is made, or what others have moved meanwhile forbids it
        ledger.read()
        shown, _ = finish_interrupted(ledger)
        candidate, champion = candidate_version(client, name, shown.aliases), champion_now(ledger, shown)
        if champion == candidate.number:
            previous = shown.aliases.get(PREVIOUS)
            return Move("promote", name, champion, champion, moved=False, previous=previous)
        if reason := None if again else reason_rolled_back(ledger, candidate):
            msg = f"{candidate} was rolled back ({reason}). To promote it anyhow: `unblur promote --again`."
            raise GateRefusedError(msg)
        _require_verdict(client, candidate, root, registry_folder, champion=champion, expected=expected)
        made = move(ledger, entry("promote", name, champion, candidate.number, why=why, by=by), candidate)
        if made is not None:
            return made


def _require_verdict(
    client: "MlflowClient",
    candidate: Version,
    root: Path,
    registry_folder: Path,
    *,
    champion: int | None,
    expected: int | None,
) -> None:
    """Refuse without a favourable verdict about this very candidate, data and champion."""
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
    require_champion(candidate.name, champion, expected)
    if champion != judged.champion:
        msg = (
            f"The gate compared with {called(candidate.name, judged.champion)} as champion, but by now it is "
            f"{called(candidate.name, champion)}. Run `unblur registry check` and `unblur gate` again."
        )
        raise GateRefusedError(msg)
