"""Take the champion back: to the last version of the ledger that was not rolled back itself."""

from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import UnblurError
from unblur.registry import ledger
from unblur.registry.lock import registry_lock
from unblur.registry.move import Move, finish_interrupted, last_good, move, require_champion
from unblur.registry.versions import CHAMPION, read_aliases, read_version


@store_errors()
def rollback(name: str, *, expected: int | None = None, why: str = "", by: str | None = None) -> Move:
    """Move `champion` back along the ledger, to the last version before it that was not rolled back.

    The version that goes gets the tag `rolled_back`: neither the next `unblur promote` nor another rollback brings it
    back unasked. A rollback that was killed before its end is finished, and that is all.

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
    with registry_lock(client, name):
        finished = finish_interrupted(client, name)
        if finished is not None and finished.action == "rollback" and expected in (None, finished.before):
            return finished
        aliases = read_aliases(client, name)
        if CHAMPION not in aliases:
            raise UnblurError(_no_champion(name))
        require_champion(name, aliases, expected)
        leaving, returning = aliases[CHAMPION], last_good(client, name, aliases)
        if returning is None:
            msg = (
                f"{name} v{leaving} stays champion: no version before it is left that was not rolled back. "
                "Promote another one: `unblur promote`, or `unblur promote --again`."
            )
            raise UnblurError(msg)
        line = ledger.entry("rollback", name, leaving, returning, why=why, by=by)
        return move(client, line, read_version(client, name, returning))


def _no_champion(name: str) -> str:
    return f"{name} has no champion to roll back. Promote a version first: `unblur promote`."
