"""Files appear whole or not at all, and stay: written beside, brought to the disk, renamed, and the name brought there.

A rename alone is not enough: a power cut can keep it and lose what was written before it. Whatever writes a file of
ours comes through here, so that the order stands in one place.
"""

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

UNFINISHED = ".part"
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""What file systems answer that cannot bring a folder to the disk, such as some of networks."""


@contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes `path`'s place when the block ends, and goes if the block raises.

    Missing folders are made. A process that is killed leaves the temporary file, whose name ends in `.part`. When the
    block has ended, a power cut can take back neither the content nor the name.

    Args:
        path: to be written.
        keep: where the file goes that was at `path`, in the same folder; None lets it go.
    """
    make_folder(path.parent)
    # Short, as `path` may have the longest name that there can be.
    unfinished = path.with_name(f".{secrets.token_hex(4)}{UNFINISHED}")
    try:
        yield unfinished
        put_in_place(unfinished, path, keep)
    except OSError as error:
        if error.filename in {None, str(unfinished)}:
            error.filename = str(path)  # what a message shall name
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def put_in_place(finished: Path, path: Path, keep: Path | None = None) -> None:
    """Bring a file to the disk and rename it to `path`, in the same folder; `keep` as for `replacing`."""
    _sync_path(finished)
    if keep is not None and path.exists():
        path.replace(keep)
    finished.replace(path)
    sync_folder(path.parent)


def rename_folder(folder: Path, place: Path) -> None:
    """Rename a folder whose content is on the disk (`sync_tree`), and bring its new name there too."""
    folder.rename(place)
    sync_folder(place.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those that it lies in, and bring the new names to the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Bring all that lies in a folder to the disk: what others have written there, file by file."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                _sync_path(path)
        sync_folder(Path(place))


def sync_stream(stream: IO[Any]) -> None:
    """Bring what was written into an open file to the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the file system can do that and the folder may be read."""
    try:
        _sync_path(folder)
    except PermissionError:
        if os.access(folder, os.R_OK):
            raise
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise


def require_writable(folder: Path) -> None:
    """Make `folder` and write into it, to be asked before long work begins.

    Raises:
        OSError: the disk is full, read-only or somebody else's, or a file is in the way; it names the place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"?")
    except OSError as error:
        error.filename = str(folder)
        raise


def _sync_path(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(number)
