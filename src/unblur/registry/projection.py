"""What MLflow shows of the ledger: the aliases, and the mark of versions that were rolled back.

Whoever makes a move shows it; whoever finds a move that is not shown yet does it for a killed process. Nobody needs a
lock for that, but to take back the alias `challenger`, which the gate gives: who has written reads the ledger once
more, and writes again what came meanwhile. So a late writer of an alias mends what it has overwritten.

The tag `ledger_shown` of the registered model is the number of the last move that was shown. It tells an alias that
lags from one that was set by hand, which is left alone until a person says what counts.
"""

import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException

from unblur.errors import NoModelVersionError, StoreSilentError, UnblurError
from unblur.registry.earlier import PLAN_TAG, read_plan
from unblur.registry.entry import LedgerEntry
from unblur.registry.ledger import Ledger
from unblur.registry.lock import registry_lock
from unblur.registry.patience import patiently
from unblur.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, Version, read_aliases, read_version

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

ROLLED_BACK = "rolled_back"  # tag of a version that `unblur rollback` has replaced
SHOWN_TAG = "ledger_shown"
LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Shown:
    """What a registered model shows: its aliases, and which move of the ledger was shown last (0: none).

    `plan` is a move that a process of an earlier unblur has begun and not finished.
    """

    aliases: dict[str, int]
    move: int
    plan: LedgerEntry | None = None


def read_shown(client: "MlflowClient", name: str) -> Shown:
    """Return what a model shows; of one that is not registered, nothing.

    Raises:
        UnblurError: it has an unfinished move of before that cannot be read.
    """
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return Shown({}, 0)
    aliases = {alias: int(number) for alias, number in model.aliases.items()}
    noted = str(model.tags.get(SHOWN_TAG, ""))
    return Shown(aliases, int(noted) if noted.isdecimal() else 0, read_plan(name, model.tags))


def lags(ledger: Ledger, shown: Shown) -> bool:
    """Tell whether the last valid move was never shown: its process was killed, or is at it."""
    return shown.move < ledger.head


def champion_now(ledger: Ledger, shown: Shown) -> int | None:
    """Return the champion of the ledger; where nothing was moved yet, the one that somebody has set.

    Raises:
        UnblurError: the alias was set by hand, to a version that was never champion by the ledger.
    """
    champion, alias = ledger.champion, shown.aliases.get(CHAMPION)
    if champion is None:
        return alias
    if not lags(ledger, shown) and alias is not None and alias != champion and alias not in ledger.champions:
        msg = (
            f"The alias {CHAMPION} of {ledger.model} is at v{alias}, by the ledger it is v{champion}: it was set "
            "without unblur. `unblur registry check --mend` sets it back, `--adopt` writes it into the ledger."
        )
        raise UnblurError(msg)
    return champion


def reason_rolled_back(ledger: Ledger, version: Version) -> str | None:
    """Return when, by whom and why a version was rolled back, None where it was not.

    The ledger tells; of versions that it does not name, the mark does.
    """
    if version.number in ledger.champions:
        return ledger.rolled_back.get(version.number)
    return version.tags.get(ROLLED_BACK) or None


def last_good(ledger: Ledger, shown: Shown) -> int | None:
    """Return the last version that was champion before the present one, is still there and was not rolled back.

    The ledger tells; for a champion that was set without unblur, the alias `previous_champion` does.
    """
    now = ledger.champion or shown.aliases.get(CHAMPION)
    for number in _backwards(ledger, shown.aliases.get(PREVIOUS)):
        if number == now or number in ledger.rolled_back:
            continue
        try:
            version = read_version(ledger.client, ledger.model, number)
        except NoModelVersionError:
            continue  # it was deleted
        if reason_rolled_back(ledger, version) is None:
            return number
    return None


def wanted_aliases(ledger: Ledger, shown: Shown) -> dict[str, int | None]:
    """Return where the ledger wants the aliases `champion` and `previous_champion`, None for nowhere.

    Raises:
        NoModelVersionError: the champion of the ledger was deleted.
    """
    if ledger.champion is None:
        return {}
    if shown.aliases.get(CHAMPION) != ledger.champion:  # an alias goes with its version
        read_version(ledger.client, ledger.model, ledger.champion)
    return {CHAMPION: ledger.champion, PREVIOUS: last_good(ledger, shown)}


def show(ledger: Ledger, *, everything: bool = False) -> dict[str, int]:
    """Make aliases and marks what the ledger says, until nothing newer has come; return the aliases.

    It may be done twice, and by two at once. Marks of versions that were moved before the last move that was shown are
    looked at with `everything`.

    Raises:
        NoModelVersionError: the champion of the ledger was deleted.
    """
    shown = read_shown(ledger.client, ledger.model)
    since = 0 if everything else shown.move
    while True:
        head = ledger.head
        aliases = patiently(functools.partial(_write, ledger, shown, min(since, head)))
        if patiently(ledger.read).head == head:
            return aliases
        shown = read_shown(ledger.client, ledger.model)


def finish_interrupted(ledger: Ledger) -> tuple[Shown, LedgerEntry | None]:
    """Show the move that a killed process has not shown; return what is shown, and that move, None for none.

    An alias that was set by hand stays as it is.
    """
    shown = read_shown(ledger.client, ledger.model)
    if shown.plan is not None:
        return _finish_plan(ledger, shown, shown.plan)
    if not lags(ledger, shown):
        return shown, None
    line = ledger.lines[-1]
    try:
        return Shown(show(ledger), ledger.head), line
    except NoModelVersionError as error:  # what moves the champion goes on from there
        log.warning("%s", error)
        return shown, None


def _finish_plan(ledger: Ledger, shown: Shown, plan: LedgerEntry) -> tuple[Shown, LedgerEntry | None]:
    """Make a move that an earlier unblur has begun, unless somebody has moved the champion elsewhere since."""
    client, name = ledger.client, ledger.model
    elsewhere = shown.aliases.get(CHAMPION) not in (plan.before, plan.after)
    if not elsewhere and plan not in ledger.lines and not ledger.valid:
        ledger.commit(plan)
        shown = Shown(show(ledger), ledger.head)
    client.delete_registered_model_tag(name, PLAN_TAG)
    return replace(shown, plan=None), None if elsewhere else plan


def _write(ledger: Ledger, shown: Shown, since: int) -> dict[str, int]:
    client, name = ledger.client, ledger.model
    moved = ledger.since(since)
    for number in sorted({number for each in moved for number in (each.line.before, each.line.after) if number}):
        _mark(ledger, number)
    wanted = wanted_aliases(ledger, shown)
    for alias, to in wanted.items():
        if to is None and alias in shown.aliases:
            client.delete_registered_model_alias(name, alias)
        elif to is not None and shown.aliases.get(alias) != to:
            client.set_registered_model_alias(name, alias, str(to))
    if ledger.champion is not None and shown.aliases.get(CHALLENGER) == ledger.champion:
        wanted[CHALLENGER] = retire_challenger(client, name, ledger.champion)
    if shown.move != ledger.head:
        client.set_registered_model_tag(name, SHOWN_TAG, str(ledger.head))
    return {alias: to for alias, to in (shown.aliases | wanted).items() if to is not None}


def retire_challenger(client: "MlflowClient", name: str, champion: int) -> int | None:
    """Take the alias `challenger` from the champion, and return where it is then.

    The gate may be giving it to another version at this moment, and MLflow deletes an alias wherever it is. So this
    waits for the lock that the gate holds, but not for long, as a killed process may hold it: a champion that is called
    challenger too is waited for by nobody (`waiting_version`).
    """
    try:
        with registry_lock(client, name, LOCK_SECONDS):
            found = read_aliases(client, name).get(CHALLENGER)
            if found != champion:
                return found
            client.delete_registered_model_alias(name, CHALLENGER)
            return None
    except StoreSilentError:
        raise
    except UnblurError as error:
        log.warning("%s v%d keeps the alias %s: %s", name, champion, CHALLENGER, error)
        return champion


def _mark(ledger: Ledger, number: int) -> None:
    """Set or take away the mark of a version, if it is still there."""
    client, reason = ledger.client, ledger.rolled_back.get(number)
    try:
        if reason is not None:
            client.set_model_version_tag(ledger.model, str(number), ROLLED_BACK, reason)
        elif number in ledger.were_rolled_back:
            client.delete_model_version_tag(ledger.model, str(number), ROLLED_BACK)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _backwards(ledger: Ledger, last: int | None) -> Iterator[int]:
    """Yield each version that was champion, the latest first, and then `last`."""
    seen = set()
    for line in reversed(ledger.lines):
        for number in (line.after, line.before):
            if number is not None and number not in seen:
                seen.add(number)
                yield number
    if last is not None and last not in seen:
        yield last
