"""Make the candidate that passed the gate the champion.

MLflow cannot swap an alias atomically. The champion is read again immediately before the alias is set and has to be the
one that the gate compared with (and the one of --expect-champion, if given). Between that read and the write, a few
milliseconds, another process may still promote: the last one wins, and the ledger has both lines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unblur.config.provenance import data_version
from unblur.config.tracking import tracking_client
from unblur.errors import GateRefusedError, UnblurError, UsageError
from unblur.registry import ledger
from unblur.registry.record import find_record
from unblur.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, candidate_version, read_aliases

ROLLED_BACK = "rolled_back"  # tag of a version that `unblur rollback` has replaced


@dataclass(frozen=True)
class Move:
    """Where the alias `champion` was and is; `moved` is False when there was nothing to do."""

    action: str
    model: str
    before: int | None
    after: int
    moved: bool


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
    """Move `champion` to the candidate and `previous_champion` to the champion so far.

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
        UnblurError: there is no candidate, or another version is champion than was expected.
    """
    client = tracking_client()
    aliases = read_aliases(client, name)
    candidate = candidate_version(client, name, aliases)
    if aliases.get(CHAMPION) == candidate.number:
        return Move("promote", name, candidate.number, candidate.number, moved=False)
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

    experiment_id = str(client.get_run(candidate.run_id).info.experiment_id)
    line = ledger.entry("promote", name, judged.champion, candidate.number, why=why, by=by)
    aliases = read_aliases(client, name)
    _check_champion(name, aliases, judged.champion, expected)
    before = aliases.get(CHAMPION)
    if before is not None:
        client.set_registered_model_alias(name, PREVIOUS, str(before))
    client.set_registered_model_alias(name, CHAMPION, str(candidate.number))
    if CHALLENGER in aliases:
        client.delete_registered_model_alias(name, CHALLENGER)
    ledger.append(client, line, experiment_id)
    if ROLLED_BACK in candidate.tags:
        client.delete_model_version_tag(name, str(candidate.number), ROLLED_BACK)
    return Move("promote", name, before, candidate.number, moved=True)


def _check_champion(name: str, aliases: Mapping[str, int], judged: int | None, expected: int | None) -> None:
    now = aliases.get(CHAMPION)
    if expected is not None and (now or 0) != expected:
        msg = f"Expected {_called(name, expected)} as champion, found {_called(name, now)}. Nothing was changed."
        raise UnblurError(msg)
    if now != judged:
        msg = (
            f"The gate compared with {_called(name, judged)} as champion, but by now it is {_called(name, now)}. "
            "Run `unblur gate` again."
        )
        raise GateRefusedError(msg)


def _called(name: str, number: int | None) -> str:
    return f"{name} v{number}" if number else "no version"
