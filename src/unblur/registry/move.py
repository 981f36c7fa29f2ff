"""A move of the champion: one new version of the ledger, and then the aliases that show it."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unblur.errors import UnblurError, UsageError
from unblur.registry.projection import show
from unblur.registry.versions import PREVIOUS
from unblur.runtimes.mlflow_reference import fetched_graph

if TYPE_CHECKING:
    from unblur.registry.entry import LedgerEntry
    from unblur.registry.ledger import Ledger
    from unblur.registry.versions import Version

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Move:
    """Where the champion was and is; `moved` is False when there was nothing to do, or only the aliases lagged.

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


def require_champion(name: str, champion: int | None, expected: int | None) -> None:
    """Refuse to go on where another version is champion than was expected; None expects nothing, 0 no champion.

    Raises:
        UnblurError: it is another one.
    """
    if expected is not None and (champion or 0) != expected:
        msg = f"Expected {called(name, expected)} as champion, found {called(name, champion)}. Nothing was changed."
        raise UnblurError(msg)


def called(name: str, number: int | None) -> str:
    """Return a version as messages name it."""
    return f"{name} v{number}" if number else "no version"


def move(ledger: "Ledger", line: "LedgerEntry", to: "Version") -> Move | None:
    """Move the champion as a line says, after a look at the file that it would be.

    `line.before` has to be the champion of the ledger as it was read last. None is returned where another move has come
    first: nothing was changed, and the ledger is read up to it.

    Raises:
        UnblurError: the stored file of the version `to` cannot be fetched, or is not the one that was registered.
        StoreSilentError: the store has fallen silent; whether the move was made, the ledger tells.
    """
    head = ledger.head
    fetched_graph(to.uri)  # takes its time
    if ledger.read().head != head or not ledger.commit(line):
        return None
    try:
        aliases = show(ledger)
    except Exception:
        log.warning("The move to %s is in the ledger; its aliases follow with `unblur registry check --mend`.", to)
        raise
    return Move(line.action, line.model, line.before, line.after, moved=True, previous=aliases.get(PREVIOUS))
