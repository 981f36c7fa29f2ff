"""What a server allows: sizes, times, how many at once, and who."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.errors import UsageError
from unblur.serving.tracing import Traces

if TYPE_CHECKING:
    from unblur.drift.recorder import Recorder  # needs PyArrow, which a server without statistics does not


@dataclass(frozen=True)
class Settings:
    """Limits of a server.

    max_bytes of an upload, max_pixels of a photograph, workers that restore at once, `waiting` requests besides,
    seconds that an upload and a restoration may take; the same of jobs, of which there are so many, whose files take
    `jobs_bytes` in all, and whose results are kept for so many seconds; `explanations` are those that wait or are made
    at once, 0 for none at all, each in `explain_seconds`; `keys` are SHA-256 of the API keys in
    hexadecimal, none lets everybody in. `webhook_secret` is what MLflow signs its calls with, "" takes none.
    `statistics` takes a row a photograph, None none; `traces` makes spans, if it does.
    """

    max_bytes: int = 64 << 20
    max_pixels: int = 100_000_000
    workers: int = 1
    waiting: int = 8
    upload_seconds: float = 30.0
    seconds: float = 120.0
    tile: int = 512
    overlap: int = 64
    jobs: int = 32
    job_bytes: int = 1 << 30
    jobs_bytes: int = 8 << 30
    job_upload_seconds: float = 600.0
    job_seconds: float = 6 * 3600.0
    keep_results: float = 3600.0
    explanations: int = 4
    explain_seconds: float = 1800.0
    keys: tuple[str, ...] = ()
    webhook_secret: str = ""
    statistics: "Recorder | None" = None
    traces: Traces = field(default_factory=Traces)

    def lets_in(self, key: str) -> bool:
        """Tell whether an API key is one of those that are known; each is compared in constant time."""
        found = hashlib.sha256(key.encode()).hexdigest()
        return not self.keys or any(hmac.compare_digest(found, known) for known in self.keys)


def read_keys(path: Path) -> tuple[str, ...]:
    """Read SHA-256 of API keys, one a line in hexadecimal; empty lines and those that start with # are comments.

    Raises:
        UsageError: the file cannot be read, holds no key, or a line is no SHA-256.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read as text; give a file with the SHA-256 of an API key a line"
        raise UsageError(msg) from error
    return _keys(text.splitlines(), str(path))


def keys_of_environment(value: str | None) -> tuple[str, ...]:
    """Return the SHA-256 of API keys in the value of `UNBLUR_KEYS`, set apart by commas or lines.

    None, where it is not set, holds none.

    Raises:
        UsageError: it holds no key, though it is set, or something that is no SHA-256.
    """
    return () if value is None else _keys(value.replace(",", "\n").splitlines(), "UNBLUR_KEYS")


def _keys(lines: list[str], source: str) -> tuple[str, ...]:
    stripped = [line.strip() for line in lines]
    keys = tuple(line.lower() for line in stripped if line and not line.startswith("#"))
    if not keys or not all(re.fullmatch("[0-9a-f]{64}", key) for key in keys):
        msg = f"{source}: expected the SHA-256 of an API key a line; `printf %s KEY | sha256sum` makes one"
        raise UsageError(msg)
    return keys
