"""An uploaded photograph, restored by the code of `unblur restore`, in a private folder."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unblur.errors import UnblurError
from unblur.images.header import check_image_header
from unblur.restoring.folder import Job, restore_job
from unblur.runtimes.restorer import Restorer
from unblur.serving.settings import Settings

ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tiff", "AVIF": "avif", "HEIF": "heic", "MPO": "jpg"}
TYPES = {"jpg": "image/jpeg"} | {ending: f"image/{ending}" for ending in ("png", "webp", "tiff", "avif", "heic")}
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of its own is made in it, for this user alone)


class StoppedWorkError(Exception):
    """Nobody waits for the answer any more: the work ends before its next tile."""


@dataclass(frozen=True)
class Restored:
    """A restored photograph as a file's content, its ending, its size, and what the command would note."""

    content: bytes
    ending: str
    megapixels: float
    notes: tuple[str, ...]


def restore_upload(
    restorer: Restorer,
    content: bytes,
    *,
    ending: str | None,
    strength: float | None,
    settings: Settings,
    stop: threading.Event,
) -> Restored:
    """Restore the content of a photograph's file.

    Args:
        restorer: of task image.
        content: of a file in a format that is read.
        ending: a key of `TYPES`; None keeps the format, and makes PNG of one that is not written.
        strength: see `restore_job`.
        settings: the limits.
        stop: ends the work before the next tile.

    Raises:
        UnblurError: it is no photograph, too large, or damaged; no path is named.
        StoppedWorkError: `stop` was set.
    """

    def track(steps: Sequence[Any]) -> Iterator[Any]:
        for step in steps:
            if stop.is_set():
                raise StoppedWorkError
            yield step

    where = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="unblur-", dir=where) as name:
        source = Path(name, "photograph")
        source.write_bytes(content)
        try:
            header = check_image_header(source, settings.max_pixels, settings.max_bytes)
        except UnblurError as error:
            raise UnblurError(str(error).replace(f"{name}/", "")) from error
        ending = ending or ENDINGS.get(header.format, "png")
        job = Job(source, source.with_name(f"restored.{ending}"))
        outcome = restore_job(
            restorer,
            job,
            tile=settings.tile,
            overlap=settings.overlap,
            track=track,
            max_pixels=settings.max_pixels,
            strength=strength,
            observe=settings.statistics.observer(source, restorer.sha256) if settings.statistics else None,
        )
        if outcome.error:
            raise UnblurError(outcome.error.replace(f"{name}/", ""))
        return Restored(job.target.read_bytes(), ending, round(outcome.megapixels, 3), outcome.notes)
