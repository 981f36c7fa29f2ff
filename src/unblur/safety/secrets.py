"""Addresses with credentials, made fit to be shown."""

import re

_USER = re.compile(r"(?<=://)[^\s/]+@")
_QUERY = re.compile(r"(?i)([?&][\w-]*(?:password|passwd|secret|token|key)=)[^&\s]+")


def masked(text: str) -> str:
    """Return `text` with user names and passwords of the addresses in it, and secrets of their queries, as `***`."""
    return _QUERY.sub(r"\1***", _USER.sub("***@", text))
