"""What is told to another program where drift is found: one small JSON by POST, whose address is a secret."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from unblur.errors import UnblurError, UsageError

TOKEN = "UNBLUR_WEBHOOK_TOKEN"  # noqa: S105 (the name of the variable)
"""In the environment: is sent as `Authorization: Bearer`, without white space around it."""


def check_address(address: str) -> None:
    """Refuse what is no address to post to, or no token to send there; to be asked before the work begins.

    Raises:
        UsageError: it is not http or https, has no host, or holds a user and password; or the token does not fit into a
            header. Neither is repeated.
    """
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and parts.hostname and not parts.username and (parts.port or 1)
    except ValueError:
        fits = False
    if not fits or any(letter <= " " or letter == "\x7f" for letter in address):
        msg = f"--webhook: expected http://HOST/PATH or https://HOST/PATH, without a user; a token goes into {TOKEN}"
        raise UsageError(msg)
    _token()


def post(address: str, content: Mapping[str, Any], seconds: float = 10.0) -> None:
    """Send JSON to an address that `check_address` has let pass.

    Raises:
        UnblurError: it was not taken within the time; the line names the host alone.
        UsageError: the token does not fit into a header.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "unblur"}
    if token := _token():
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(address, json.dumps(content).encode(), headers, method="POST")  # noqa: S310 (checked)
    host = urlsplit(address).hostname
    try:
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=seconds):
            return
    except urllib.error.HTTPError as error:
        msg = f"--webhook: {host} has answered {error.code}; nobody was told of the drift"
        raise UnblurError(msg) from None
    except (OSError, HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        said = "no answer in time" if isinstance(cause, TimeoutError) else type(cause).__name__
        msg = f"--webhook: {host} cannot be reached ({said}); nobody was told of the drift"
        raise UnblurError(msg) from None


def _token() -> str:
    """Return the token, or "" where there is none; the file that it was read from may have left a line end on it."""
    token = os.environ.get(TOKEN, "").strip()
    if not all("!" <= letter <= "~" for letter in token):
        msg = f"{TOKEN}: holds a space, a control character or a letter outside of ASCII; set it to the token alone"
        raise UsageError(msg)
    return token


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: the token is for the host that was named."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401
        """Refuse, so that the redirection is an error."""
