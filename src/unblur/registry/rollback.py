"""Bring the previous champion back; a second rollback undoes the first."""

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry import ledger
from unblur.registry.promote import ROLLED_BACK, Move
from unblur.registry.versions import CHAMPION, PREVIOUS, read_aliases, read_version


def rollback(name: str, *, why: str = "", by: str | None = None) -> Move:
    """Swap the aliases `champion` and `previous_champion`.

    The version that goes gets the tag `rolled_back`, so that the next `unblur promote` does not bring it back
    unasked; the version that comes loses it.

    Raises:
        UnblurError: there is no champion, or no previous one.
    """
    client = tracking_client()
    aliases = read_aliases(client, name)
    if CHAMPION not in aliases:
        msg = f"{name} has no champion to roll back. Promote a version first: `unblur promote`."
        raise UnblurError(msg)
    leaving, returning = aliases[CHAMPION], aliases.get(PREVIOUS)
    if returning is None or returning == leaving:
        msg = f"{name} v{leaving} is the first champion: there is no previous one to go back to."
        raise UnblurError(msg)
    experiment_id = str(client.get_run(read_version(client, name, leaving).run_id).info.experiment_id)
    came = read_version(client, name, returning)
    line = ledger.entry("rollback", name, leaving, returning, why=why, by=by)
    reason = f"{line.when} by {line.who}" + (f": {why}" if why else "")
    client.set_model_version_tag(name, str(leaving), ROLLED_BACK, reason)
    client.set_registered_model_alias(name, CHAMPION, str(returning))
    client.set_registered_model_alias(name, PREVIOUS, str(leaving))
    ledger.append(client, line, experiment_id)
    if ROLLED_BACK in came.tags:
        client.delete_model_version_tag(name, str(returning), ROLLED_BACK)
    return Move("rollback", name, leaving, returning, moved=True)
