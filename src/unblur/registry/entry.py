"""A line of the ledger: one move of the champion."""

import getpass
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST = 1000  # characters of a reason or a name


@dataclass(frozen=True)
class LedgerEntry:
    """One move of the champion; `before` and `after` are version numbers, `when` is UTC in ISO 8601."""

    when: str
    who: str
    action: str
    model: str
    before: int | None
    after: int
    why: str


def entry(action: str, model: str, before: int | None, after: int, *, why: str, by: str | None) -> LedgerEntry:
    """Return an entry of this moment; without `by` it names the user of this process."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return LedgerEntry(now, (by or current_user())[:LONGEST], action, model, before, after, why[:LONGEST])


def current_user() -> str:
    """Return the user's name as the environment or the system has it, "unknown" in a container without users."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
