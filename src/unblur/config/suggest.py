"""What to write: the nearest valid name for a mistyped one."""

import difflib
from collections.abc import Iterable


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'NAME'?` for the most similar valid name, or an empty string."""
    found = difflib.get_close_matches(wrong, list(valid), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
