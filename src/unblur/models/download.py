"""One file over HTTPS: resumed where it broke off, never larger than announced, and named only when it is whole."""

import http
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from unblur.errors import UnblurError
from unblur.safety.atomic import UNFINISHED, put_in_place
from unblur.safety.hashing import sha256_file

CHUNK = 1 << 18
TIMEOUT = 60  # seconds without a byte
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
Progress = Callable[[int], None]


def download(url: str, target: Path, size: int, sha256: str, progress: Progress = lambda done: None) -> None:
    """Fetch a URL into `target`. What an earlier try has left beside it (`NAME.part`) is gone on from.

    Args:
        url: https; http of this machine alone.
        target: written when its SHA-256 is right, in a folder that exists.
        size: in bytes, exactly.
        sha256: of the whole file.
        progress: is told the bytes that are there.

    Raises:
        UnblurError: the address is refused or cannot be reached, the transfer broke off, or it is another file.
    """
    _check_address(url)
    unfinished = target.with_name(target.name + UNFINISHED)
    have = unfinished.stat().st_size if unfinished.is_file() else 0
    if have > size:
        unfinished.unlink()
        have = 0
    if have < size:
        _transfer(url, unfinished, have, size, progress)
    found = sha256_file(unfinished)
    if found != sha256:
        unfinished.unlink()
        msg = f"{url}: gave a file of SHA-256 {found}, expected {sha256}; it was removed, run the command again"
        raise UnblurError(msg)
    put_in_place(unfinished, target)


def _transfer(url: str, unfinished: Path, have: int, size: int, progress: Progress) -> None:
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 (checked)
    try:
        with urllib.request.build_opener(_SafeRedirects).open(request, timeout=TIMEOUT) as response:
            if have and not _goes_on(response, have):
                have = 0  # a server that knows no ranges sends everything
            with unfinished.open("ab" if have else "wb") as sink:
                done = _copy(response, sink, have, size, progress)
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
        if isinstance(error, urllib.error.HTTPError) and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            unfinished.unlink()  # the part is longer than the file that is there now
        reason = getattr(error, "reason", None) or error
        msg = f"{url}: cannot be fetched ({' '.join(str(reason).split())[:200]}); run the command again to go on"
        raise UnblurError(msg) from error
    if done < size:
        msg = f"{url}: broke off at {done} of {size} bytes; run the command again to go on from there"
        raise UnblurError(msg)


def _goes_on(response: Any, have: int) -> bool:  # noqa: ANN401
    return response.status == 206 and str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _copy(response: Any, sink: IO[bytes], have: int, size: int, progress: Progress) -> int:  # noqa: ANN401
    done = have
    progress(done)
    while chunk := response.read(CHUNK):
        done += len(chunk)
        if done > size:
            sink.truncate(0)
            msg = f"{response.url}: sends more than the {size} bytes that were expected; nothing of it is kept"
            raise UnblurError(msg)
        sink.write(chunk)
        progress(done)
    return done


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in THIS_MACHINE):
        msg = f"{url}: is not fetched, because it is no https address"
        raise UnblurError(msg)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to an address that would not be fetched itself."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: ANN401, PLR0917
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
