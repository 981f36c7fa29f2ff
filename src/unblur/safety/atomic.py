"""Files appear whole or not at all: written under a temporary name, then renamed."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".part"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes `path`'s place when the block ends, and goes if the block raises.

    Missing folders are made. A process that is killed leaves the temporary file, whose name ends in `.part`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Short, as `path` may have the longest name that there can be.
    unfinished = path.with_name(f".{secrets.token_hex(4)}{UNFINISHED}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        if error.filename in {None, str(unfinished)}:
            error.filename = str(path)  # what a message shall name
        raise
    finally:
        unfinished.unlink(missing_ok=True)


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
