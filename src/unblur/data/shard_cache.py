"""Files of a dataset behind a URL, as local files: fetched whole, checked, and kept within a budget of bytes.

A local folder's files are used where they are. Anything else that fsspec knows (s3://, gs://, http://) is fetched a
whole file at a time: one request for hundreds of tiles, and the only way to check a SHA-256.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from unblur.config.extras import install
from unblur.data.shard_index import INDEX, ShardFile
from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file

MAX_INDEX_BYTES = 64 << 20
OURS = "[0-9a-f]" * 16 + "-*"
"""How names in the cache begin; whatever else lies there is somebody's."""
_ABANDONED = 3600  # seconds without progress, after which an unfinished file belongs to nobody


@dataclass(frozen=True)
class ShardStore:
    """The files at `url`, a folder or any URL that fsspec opens.

    Attributes:
        url: of the folder that holds index.json.
        cache: local folder for fetched files; several processes may share it.
        budget: most bytes of shards kept there; the one used longest ago goes first. Each process that is fetching at
            the moment may add its one shard to that.
    """

    url: str
    cache: Path
    budget: int

    def index(self) -> bytes:
        """Return the content of index.json.

        Raises:
            UnblurError: there is none, or the place cannot be reached.
        """
        if folder := local_folder(self.url):
            if not (folder / INDEX).is_file():
                msg = f"{folder / INDEX}: there are no finished shards; write them with `unblur data pack`"
                raise UnblurError(msg)
            return (folder / INDEX).read_bytes()
        with _Remote(self.url) as remote:
            content: bytes = remote.fs.cat_file(f"{remote.root}/{INDEX}", start=0, end=MAX_INDEX_BYTES)
            return content

    def path(self, wanted: ShardFile) -> Path:
        """Return a local path of the file, fetched first if need be.

        Another process may remove a shard from the cache at any time: open it, and ask again if it is gone.

        Raises:
            UnblurError: it cannot be fetched, or its size or SHA-256 is wrong.
        """
        if folder := local_folder(self.url):
            return folder / wanted.file
        target = self.cache / f"{wanted.sha256[:16]}-{wanted.file}"
        if not _touch(target):
            from filelock import FileLock

            self.cache.mkdir(parents=True, exist_ok=True)
            with FileLock(self.cache / f".{target.name}.lock"):
                if not _touch(target):  # another process may have fetched it meanwhile
                    self._make_room(wanted.bytes)
                    self._fetch(wanted, target)
        return target

    def _fetch(self, wanted: ShardFile, target: Path) -> None:
        unfinished = target.with_suffix(".part")  # one name, under the lock: what a killed process left is overwritten
        with _Remote(self.url) as remote:
            remote.fs.get_file(f"{remote.root}/{wanted.file}", str(unfinished))
        if (digest := sha256_file(unfinished)) != wanted.sha256:
            unfinished.unlink()
            msg = f"{self.url}/{wanted.file}: SHA-256 {digest}, expected {wanted.sha256}; upload it again"
            raise UnblurError(msg)
        unfinished.replace(target)

    def _make_room(self, needed: int) -> None:
        """Remove the shards used longest ago, and what killed processes left, until `needed` more bytes fit."""
        kept = []
        for path in (*self.cache.glob(f"{OURS}.bin"), *self.cache.glob(f"{OURS}.part")):
            try:
                kept.append((path.stat(), path))
            except FileNotFoundError:
                continue  # removed by another process just now
        kept.sort(key=lambda item: item[0].st_mtime_ns)
        total = sum(stat.st_size for stat, _ in kept)
        for stat, path in kept:
            if total + needed <= self.budget:
                break
            if path.suffix == ".bin" or stat.st_mtime < time.time() - _ABANDONED:
                path.unlink(missing_ok=True)
                total -= stat.st_size


def local_folder(url: str) -> Path | None:
    """Return the folder that `url` names, or None if it is not on this machine."""
    scheme, found, rest = url.partition("://")
    if not found:
        return Path(url)
    return Path(rest) if scheme in ("file", "local") else None


class _Remote:
    """A file system of fsspec, opened anew for every fetch: none of them survives a fork into workers.

    Whatever goes wrong inside the block is told in one line.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> "_Remote":
        import fsspec

        try:
            self.fs, self.root = fsspec.core.url_to_fs(self.url.rstrip("/"))
        except (ImportError, ValueError) as error:
            msg = f"{self.url}: {error}; for s3://: {install('s3fs')}"
            raise UnblurError(msg) from error
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, UnblurError):
            text = " ".join(str(error).split())[:200] or type(error).__name__
            msg = f"{self.url}: cannot be read ({text}); check the address, the credentials and the network"
            raise UnblurError(msg) from error


def _touch(path: Path) -> bool:
    """Mark the file as used now; False if it is not there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
