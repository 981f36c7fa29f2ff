"""Named members of a zip archive or wheel, taken out one by one: capped, checked, and never half-written."""

import hashlib
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO

from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.paths import inside

CHUNK = 1 << 20


def extract_member(archive: Path, member: str, root: Path, relative: str, *, sha256: str, max_bytes: int) -> Path:
    """Write one member of `archive` to `root / relative` and return that path; nothing else is extracted.

    What stood there before is replaced only after the member has been read whole and its SHA-256 is right.

    Args:
        archive: a zip file or wheel.
        member: the member's exact name in the archive; it never becomes part of the path written.
        root: the folder that must not be left.
        relative: where to write, relative to `root`.
        sha256: the expected hash of the content, 64 hexadecimal digits.
        max_bytes: most bytes that the member may unpack to.

    Raises:
        UnblurError: no such archive or member, not a plain file, too large, damaged, a wrong hash, or an escape.
    """
    target = _target(root, relative)
    try:
        with zipfile.ZipFile(archive) as opened:
            info = _plain_file(opened, archive, member, max_bytes)
            with replacing(target) as unfinished, opened.open(info) as source:
                found = _copy(source, unfinished, max_bytes, f"{archive.name}: {member}")
                if found != sha256:
                    msg = f"{archive.name}: {member} has SHA-256 {found}, expected {sha256}; nothing was written"
                    raise UnblurError(msg)
    except FileNotFoundError as error:
        msg = f"{archive}: there is no such archive"
        raise UnblurError(msg) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        msg = f"{archive.name}: damaged or not a zip archive ({error}); delete it and fetch it again"
        raise UnblurError(msg) from error
    return target


def _target(root: Path, relative: str) -> Path:
    """Resolve the folder but not the name: a link that stands there is replaced, never written through."""
    name = Path(relative).name
    if name in ("", ".."):
        msg = f"{relative!r}: names no file; give a file's path inside {root}"
        raise UnblurError(msg)
    return inside(root, str(Path(relative).parent)) / name


def _plain_file(opened: zipfile.ZipFile, archive: Path, member: str, max_bytes: int) -> zipfile.ZipInfo:
    try:
        info = opened.getinfo(member)
    except KeyError as error:
        msg = f"{archive.name}: holds no {member}"
        raise UnblurError(msg) from error
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in (0, stat.S_IFREG) or info.flag_bits & 0x1:
        msg = f"{archive.name}: {member} is a folder, a link or encrypted; a plain file was expected"
        raise UnblurError(msg)
    if info.file_size > max_bytes:
        msg = f"{archive.name}: {member} unpacks to {info.file_size} bytes; at most {max_bytes} are allowed"
        raise UnblurError(msg)
    return info


def _copy(source: IO[bytes], target: Path, max_bytes: int, name: str) -> str:
    """Copy at most `max_bytes` (the size in a zip's directory may lie) and return the SHA-256."""
    digest = hashlib.sha256()
    copied = 0
    with target.open("wb") as sink:
        while chunk := source.read(CHUNK):
            copied += len(chunk)
            if copied > max_bytes:
                msg = f"{name} unpacks to more than {max_bytes} bytes"
                raise UnblurError(msg)
            digest.update(chunk)
            sink.write(chunk)
    return digest.hexdigest()
