"""Keys of the configuration that were renamed: overrides with the old name go on to work."""

import logging
import re
from collections.abc import Iterable

log = logging.getLogger(__name__)

RENAMED = {"data.manifest": "data.source.manifest", "data.root": "data.source.root"}
OVERRIDE = re.compile(r"(?P<sign>[+~]*)(?P<key>[\w.]+)(?P<rest>=.*)?", re.DOTALL)


def as_called_now(arguments: Iterable[str]) -> list[str]:
    """Return arguments of a command line in which overrides name their keys as they are called now; warn of each."""
    return [_renamed(argument) for argument in arguments]


def _renamed(argument: str) -> str:
    found = OVERRIDE.fullmatch(argument)
    if found is None or found["key"] not in RENAMED:
        return argument
    now = RENAMED[found["key"]]
    log.warning("%s is called %s now", found["key"], now)
    return f"{found['sign']}{now}{found['rest'] or ''}"
