"""Which share of requests or clients a challenger gets: by a hash, so the same ones each time, on every server."""

import hashlib


def chosen(name: str, share: float) -> bool:
    """Say whether a name is in the share (0 to 1) of all names."""
    found = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return found < share * (1 << 64)
