"""Credentials, kept out of all that people see: one filter for the terminal, logs, tags and artifacts.

Secret is what stands before the @ of an address, what its query calls a password, key or token, and the value of every
environment variable that is called so (MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, AWS_SECRET_ACCESS_KEY and
others), or that is an address with a password in it (MLFLOW_TRACKING_URI).
"""

import base64
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO, TypeVar, cast
from urllib.parse import quote, unquote

T = TypeVar("T")

SHORTEST = 6
"""Characters. What is shorter, such as "test", is a part of too many words: it is masked in addresses alone."""

_USER = re.compile(r"(?<=://)[^\s/]+@")
_QUERY = re.compile(r"(?i)([?&][\w-]*(?:password|passwd|secret|token|key)=)[^&\s]+")
_PASSWORD = re.compile(r"://([^\s/:]*):([^\s/]+)@")
_NAMES = re.compile(r"(?i)password|passwd|(?:^|_)(?:secret|token|credentials?|api_?key|access_key|private_key)(?:_|$)")
_NO_SECRETS = re.compile(r"(?i)_(?:id|file|path|dir|ur[il])$")


def masked(text: str) -> str:
    """Return `text` with the credentials in it as `***`."""
    text = _QUERY.sub(r"\1***", _USER.sub("***@", text))
    for secret in _known(os.environ):
        text = text.replace(secret, "***")
    return text


def holds_secret(text: str) -> bool:
    """Tell whether there is a password in an address, or a secret of the environment."""
    return bool(_PASSWORD.search(text) or _QUERY.search(text)) or any(secret in text for secret in _known(os.environ))


def masked_values(value: T) -> T:
    """Return plain data, texts masked: those in lists, tuples and dictionaries too."""
    found: Any = value
    if isinstance(value, str):
        found = masked(value)
    elif isinstance(value, Mapping):
        found = {key: masked_values(inner) for key, inner in value.items()}
    elif isinstance(value, list | tuple) and type(value) in (list, tuple):
        found = type(value)(masked_values(inner) for inner in value)
    return cast("T", found)


def mask_output() -> None:
    """Let all that this process prints go through the filter: also what libraries print, log and warn of.

    What the terminal's encoding does not have is written as an escape, instead of failing.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not fit the terminal's encoding
        if stream is not None and not isinstance(stream, _Masked):
            setattr(sys, name, _Masked(stream))


class _Masked:
    """A text stream whose lines are masked; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what is left of `text`."""
        self._stream.write(masked(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)


def _known(environment: Mapping[str, str]) -> Iterator[str]:
    """Return the secrets of the environment in the ways in which they are written, the longest first."""
    secrets: set[str] = set()
    for name, value in environment.items():
        if _NAMES.search(name) and not _NO_SECRETS.search(name):
            secrets |= _written(value.strip())  # a line end may be left on it, of the file that it was read from
        for user, password in _PASSWORD.findall(value) if "://" in value else ():
            pair = f"{unquote(user)}:{unquote(password)}"  # as in an HTTP header
            basic = base64.b64encode(pair.encode(errors="surrogateescape")).decode()
            secrets |= {password, basic} | _written(unquote(password))
    return (secret for secret in sorted(secrets, key=len, reverse=True) if len(secret) >= SHORTEST)


def _written(secret: str) -> set[str]:
    """Return a secret as it is, as in an address, and as `repr` and `ascii` show it within a text or bytes."""
    raw = secret.encode(errors="surrogateescape")  # a variable may hold bytes that are no UTF-8
    shown = {repr(secret)[1:-1], ascii(secret)[1:-1], repr(raw)[2:-1]}
    return {secret, quote(raw, safe=""), *shown, *(each.replace("'", r"\'") for each in shown)}
