"""Archives that are read: their members are capped, checked, never ambiguous, and never half-written."""

import hashlib
import io
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, cast

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
            check_names((info.filename for info in opened.infolist()), archive)
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


def read_zip(path: Path, *, max_bytes: int) -> tuple[dict[str, bytes], str]:
    """Return every member of the zip at `path` by its name, and the SHA-256 of the whole; the file is read once.

    Raises:
        UnblurError: no such file, not a zip, too large, or as `check_zip`.
    """
    try:
        content = _whole(path, max_bytes)
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            check_zip(opened, path, max_bytes=max_bytes)
            members = {info.filename: opened.read(info) for info in opened.infolist()}
        return members, hashlib.sha256(content).hexdigest()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); give an archive that is there"
        raise UnblurError(msg) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        msg = f"{path}: damaged or not a zip archive ({error}); get it again"
        raise UnblurError(msg) from error


def check_zip(opened: zipfile.ZipFile, archive: Path, *, max_bytes: int) -> None:
    """Refuse a zip that is more than plain files, before any of it is unpacked.

    Raises:
        UnblurError: two members of one name, one that is no plain file or lies in the wrong place (see `check_names`),
            or more than `max_bytes` unpacked.
    """
    infos = opened.infolist()
    check_names((info.filename for info in infos), archive)
    left = max_bytes
    for info in infos:
        left -= _plain_file(opened, archive, info.filename, left).file_size


def read_tar(path: Path, *, max_bytes: int) -> tuple[dict[str, bytes], str]:
    """Return every file of the gzipped tar at `path` by its name, and the SHA-256 of the whole; the file is read once.

    Nothing is unpacked to disk.

    Raises:
        UnblurError: no such file, not such an archive, more than `max_bytes` packed or unpacked, a member that is
            neither a file nor a folder, or as `check_names`.
    """
    found: dict[str, bytes] = {}
    names: list[str] = []
    left = max_bytes
    try:
        content = _whole(path, max_bytes)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r|gz") as archive:  # a stream: no size is believed
            for member in archive:
                names.append(member.name)
                left -= member.size + tarfile.BLOCKSIZE
                if left < 0:
                    msg = f"{path.name}: unpacks to more than {max_bytes} bytes, the most that is read"
                    raise UnblurError(msg)
                if not member.isdir() and (not member.isreg() or member.sparse is not None):
                    msg = f"{path.name}: {member.name} is a link or a device; plain files were expected"
                    raise UnblurError(msg)
                if member.isreg():
                    found[member.name] = cast("IO[bytes]", archive.extractfile(member)).read()
    except OSError as error:
        reason = error.strerror or str(error)  # gzip's own have no number
        msg = f"{path}: cannot be read as a gzipped tar archive ({reason}); get it again"
        raise UnblurError(msg) from error
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        msg = f"{path}: damaged or not a gzipped tar archive ({error}); get it again"
        raise UnblurError(msg) from error
    check_names(names, path)
    return found, hashlib.sha256(content).hexdigest()


def check_names(names: Iterable[str], archive: Path) -> None:
    """Refuse names that two readers may understand differently.

    Raises:
        UnblurError: there is no member, two have one name (also when case, Unicode's forms and steps such as `./` are
            disregarded), or a name is absolute, has a backslash, a control character or a part `..`.
    """
    seen: dict[str, str] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or min(name) < " ":
            msg = f"{archive.name}: its member {name!r} leads out of it; get the archive again from where it is made"
            raise UnblurError(msg)
        plain = unicodedata.normalize("NFKC", "/".join(parts)).casefold()
        if plain in seen:
            msg = f"{archive.name}: holds {name!r} and {seen[plain]!r}, which are one name; get the archive again"
            raise UnblurError(msg)
        seen[plain] = name
    if not seen:
        msg = f"{archive.name}: holds nothing; get the archive again"
        raise UnblurError(msg)


def _whole(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        msg = f"{path}: is larger than {max_bytes} bytes, the most that is read"
        raise UnblurError(msg)
    return content


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
