"""Bring the previous champion back; a second rollback undoes the first."""

from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import UnblurError
from unblur.registry import ledger
from unblur.registry.lock import registry_lock
from unblur.registry.move import Move, finish_interrupted, move
from unblur.registry.versions import CHAMPION, PREVIOUS, read_aliases, read_version


@store_errors()
def rollback(name: str, *, why: str = "", by: str | None = None) -> Move:
    """Swap the aliases `champion` and `previous_champion`.

    The version that goes gets the tag `rolled_back`, so that the next `unblur promote` does not bring it back
    unasked; the version that comes loses it. A rollback that was killed before its end is finished, and that is all.

    Raises:
        UnblurError: there is no champion, no previous one, or its stored file is not the one that was registered.
    """
    client = tracking_client()
    if not read_aliases(client, name):
        raise UnblurError(_no_champion(name))
    with registry_lock(client, name):
        finished = finish_interrupted(client, name)
        if finished is not None and finished.action == "rollback":
            return finished
        aliases = read_aliases(client, name)
        if CHAMPION not in aliases:
            raise UnblurError(_no_champion(name))
        leaving, returning = aliases[CHAMPION], aliases.get(PREVIOUS)
        if returning is None or returning == leaving:
            msg = f"{name} v{leaving} is the first champion: there is no previous one to go back to."
            raise UnblurError(msg)
        line = ledger.entry("rollback", name, leaving, returning, why=why, by=by)
        return move(client, line, read_version(client, name, returning))


def _no_champion(name: str) -> str:
    return f"{name} has no champion to roll back. Promote a version first: `unblur promote`."
