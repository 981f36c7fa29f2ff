"""Whether the aliases are what the ledger says, and making them so: it has every move, an alias only the last."""

from dataclasses import dataclass

from unblur.config.tracking import store_errors, tracking_client
from unblur.registry.ledger import read_ledger
from unblur.registry.lock import registry_lock
from unblur.registry.move import finish_interrupted, last_good
from unblur.registry.versions import CHAMPION, PREVIOUS, read_aliases, read_version


@dataclass(frozen=True)
class Lag:
    """An alias that is not where the ledger says: version numbers, None for nowhere."""

    alias: str
    found: int | None
    expected: int | None


@store_errors()
def check_aliases(name: str, *, mend: bool = False) -> list[Lag]:
    """Return the aliases `champion` and `previous_champion` that differ from the ledger; none where nothing was moved.

    A move that was cut off is finished first when `mend` is set; without it, nothing is changed.

    Args:
        name: the registered model.
        mend: set the aliases to what the ledger says.

    Raises:
        NoModelVersionError: the version that the ledger ends with was deleted.
        UnblurError: the ledger cannot be read, or another process holds the registry's lock.
    """
    client = tracking_client()
    with registry_lock(client, name):
        if mend:
            finish_interrupted(client, name)
        moves, aliases = read_ledger(client, name), read_aliases(client, name)
        if not moves:
            return []
        champion = read_version(client, name, moves[-1].after).number
        wanted = {CHAMPION: champion, PREVIOUS: last_good(client, name, {**aliases, CHAMPION: champion})}
        lags = [Lag(alias, aliases.get(alias), to) for alias, to in wanted.items() if aliases.get(alias) != to]
        for lag in lags if mend else ():
            if lag.expected is None:
                client.delete_registered_model_alias(name, lag.alias)
            else:
                client.set_registered_model_alias(name, lag.alias, str(lag.expected))
        return lags
