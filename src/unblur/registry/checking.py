"""Whether the aliases are what the ledger says, and making them so: it has every move, an alias only the last."""

from dataclasses import dataclass, field

from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import UsageError
from unblur.registry.entry import entry
from unblur.registry.ledger import Ledger
from unblur.registry.move import move
from unblur.registry.projection import Shown, finish_interrupted, read_shown, show, wanted_aliases
from unblur.registry.versions import CHAMPION, read_version


@dataclass(frozen=True)
class Lag:
    """An alias that is not where the ledger says: version numbers, None for nowhere."""

    alias: str
    found: int | None
    expected: int | None


@dataclass(frozen=True)
class Report:
    """What was found: aliases that are elsewhere, and moves that were taken out of the ledger (number -> how).

    `unfinished` says that the last move was never shown, as its process was killed, or is at it.
    """

    lags: list[Lag] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    unfinished: bool = False


@store_errors()
def check_registry(name: str, *, mend: bool = False, adopt: str | None = None) -> Report:
    """Compare the aliases `champion` and `previous_champion` with the ledger; where nothing was moved, all is well.

    Without `mend` and `adopt` nothing is changed.

    Args:
        name: the registered model.
        mend: set the aliases to what the ledger says.
        adopt: a reason; write the alias `champion` into the ledger as a move instead.

    Raises:
        NoModelVersionError: the version that the ledger ends with was deleted.
        UsageError: both `mend` and `adopt`.
        UnblurError: a ledger of before cannot be read, or the file under the alias is not the one that was registered.
    """
    if mend and adopt is not None:
        msg = "--mend makes the ledger count, --adopt the alias: give one of them."
        raise UsageError(msg)
    ledger = Ledger(tracking_client(), name).read()
    shown = read_shown(ledger.client, name)
    report = inspect(ledger, shown)
    if mend:
        finish_interrupted(ledger)
        if ledger.champion is not None:
            show(ledger, everything=True)
    if adopt is not None:
        _adopt(ledger, adopt)
    return report


def inspect(ledger: Ledger, shown: Shown) -> Report:
    """Compare a ledger that was read with what its model shows.

    Raises:
        NoModelVersionError: the version that the ledger ends with was deleted.
    """
    wanted = wanted_aliases(ledger, shown)
    found = [Lag(alias, shown.aliases.get(alias), to) for alias, to in wanted.items() if shown.aliases.get(alias) != to]
    lost = ledger.lost | dict.fromkeys(range(ledger.last + 1, shown.move + 1), "was deleted")
    return Report(found, lost, unfinished=shown.move < ledger.head or shown.plan is not None)


def _adopt(ledger: Ledger, why: str) -> None:
    """Write into the ledger where the alias `champion` is, unless it says so already."""
    while True:
        alias = read_shown(ledger.client, ledger.model).aliases.get(CHAMPION)
        if alias is None or alias == ledger.champion:
            return
        line = entry("adopt", ledger.model, ledger.champion, alias, why=why, by=None)
        if move(ledger, line, read_version(ledger.client, ledger.model, alias)) is not None:
            return
