"""Files appear whole or not at all: written under a temporary name, then renamed."""

import secrets
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
    finally:
        unfinished.unlink(missing_ok=True)
