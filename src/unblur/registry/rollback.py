"""Take the champion back: to the last version of the ledger that was not rolled back itself."""

from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import UnblurError
from unblur.registry.entry import entry
from unblur.registry.ledger import Ledger
from unblur.registry.move import Move, move, require_champion
from unblur.registry.projection import champion_now, finish_interrupted, last_good
from unblur.registry.versions import PREVIOUS, read_aliases, read_version


@store_errors()
def rollback(name: str, *, expected: int | None = None, why: str = "", by: str | None = None) -> Move:
    """Move `champion` back along the ledger, to the last version before it that was not rolled back.

    The version that goes gets the tag `rolled_back`: neither the next `unblur promote` nor another rollback brings it
    back unasked. Where a process was killed before the aliases showed its rollback, they are brought up to date;
    without `expected`, that is all.

    Args:
        name: the registered model.
        expected: number of the version that has to be champion now, None for any. With it, the same call made twice
            rolls back once.
        why: reason, for the ledger.
        by: name, for the ledger; None takes the user of this process.

    Raises:
        UnblurError: there is no champion, another one than was expected, no version to go back to, or its stored file
            is not the one that was registered.
    """
    client = tracking_client()
    if not read_aliases(client, name):
        raise UnblurError(_no_champion(name))
    ledger = Ledger(client, name).read()
    shown, finished = finish_interrupted(ledger)
    if finished is not None and finished.action == "rollback" and expected is None:
        previous = shown.aliases.get(PREVIOUS)
        return Move("rollback", name, finished.before, finished.after, moved=False, previous=previous)
    while True:  # until the move is made, or what others have moved meanwhile forbids it
        leaving = champion_now(ledger, shown)
        if leaving is None:
            raise UnblurError(_no_champion(name))
        require_champion(name, leaving, expected)
        returning = last_good(ledger, shown)
        if returning is None:
            msg = (
                f"{name} v{leaving} stays champion: no version before it is left that was not rolled back. "
                "Promote another one: `unblur promote`, or `unblur promote --again`."
            )
            raise UnblurError(msg)
        made = move(
            ledger,
            entry("rollback", name, leaving, returning, why=why, by=by),
            read_version(client, name, returning),
        )
        if made is not None:
            return made
        ledger.read()
        shown, _ = finish_interrupted(ledger)


def _no_champion(name: str) -> str:
    return f"{name} has no champion to roll back. Promote a version first: `unblur promote`."
