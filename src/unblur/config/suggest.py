"""What to write: the nearest valid name for a mistyped one, a network for a task."""

import difflib
from collections.abc import Iterable

_NETWORKS = {"burst": "model=burst_small ", "video": "model=estrnn_small "}  # the default is for images


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'NAME'?` for the most similar valid name, or an empty string."""
    found = difflib.get_close_matches(wrong, list(valid), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def network_for(task: str) -> str:
    """Return the override, with a space after it, that chooses a small network; empty where the default will do."""
    return _NETWORKS.get(task, "")
