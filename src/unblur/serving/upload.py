"""An uploaded photograph, restored by the code of `unblur restore`, in a private folder."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unblur.errors import ServerFaultError, UnblurError
from unblur.images.header import check_image_header
from unblur.restoring.folder import Job, of_machine, restore_job
from unblur.runtimes.restorer import Restorer
from unblur.serving.settings import Settings
from unblur.serving.stopping import Stopping, until

ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tiff", "AVIF": "avif", "HEIF": "heic", "MPO": "jpg"}
TYPES = {"jpg": "image/jpeg"} | {ending: f"image/{ending}" for ending in ("png", "webp", "tiff", "avif", "heic")}
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of its own is made in it, for this user alone)


@dataclass(frozen=True)
class Restored:
    """A restored photograph as a file's content, its ending, its size, and what the command would note."""

    content: bytes
    ending: str
    megapixels: float
    notes: tuple[str, ...]

    @property
    def guarded(self) -> bool:
        """Say whether the guard put something back."""
        return any(note.startswith("guard:") for note in self.notes)


def restore_upload(
    restorer: Restorer,
    content: bytes,
    *,
    ending: str | None,
    strength: float | None,
    settings: Settings,
    stop: Stopping,
    where: Path | None = None,
) -> Restored:
    """Restore the content of a photograph's file.

    Args:
        restorer: of task image.
        content: of a file in a format that is read.
        ending: a key of `TYPES`; None keeps the format, and makes PNG of one that is not written.
        strength: see `restore_job`.
        settings: the limits.
        stop: ends the work before the next tile.
        where: the private folder lies there; None takes memory where the machine has /dev/shm.

    Raises:
        UnblurError: it is no photograph, too large, or damaged; no path is named.
        ServerFaultError: the model cannot be run, or the machine has no room.
        OSError: the private folder cannot be made or written.
        StoppedWorkError: `stop` was set.
    """
    if where is None and SHARED_MEMORY.is_dir():
        where = SHARED_MEMORY
    with tempfile.TemporaryDirectory(prefix="unblur-", dir=where) as name:
        source = Path(name, "photograph")
        source.write_bytes(content)
        try:
            header = check_image_header(source, settings.max_pixels, settings.max_bytes)
            target = source.with_name(f"restored.{ending or ENDINGS.get(header.format, 'png')}")
            megapixels, notes = restore_photograph(
                restorer, source, target, strength=strength, settings=settings, track=until(stop)
            )
        except ServerFaultError:
            raise
        except UnblurError as error:
            fault = ServerFaultError if of_machine(error) else UnblurError
            raise fault(str(error).replace(f"{name}/", "")) from error
        return Restored(target.read_bytes(), target.suffix[1:], megapixels, notes)


def restore_photograph(
    restorer: Restorer,
    source: Path,
    target: Path,
    *,
    strength: float | None,
    settings: Settings,
    track: Callable[[Sequence[Any]], Iterable[Any]],
) -> tuple[float, tuple[str, ...]]:
    """Write `target`, and return megapixels and notes; `track` wraps the tiles.

    Raises:
        UnblurError: see `restore_job`.
        ServerFaultError: the model cannot be run, or the machine has no room.
    """
    statistics = settings.statistics
    observe = statistics.observer(source, restorer.sha256, settings.max_pixels) if statistics else None
    with settings.traces.phases("decode") as phases:

        def traced(steps: Sequence[Any]) -> Iterator[Any]:
            phases.next("restore")
            yield from track(steps)
            phases.next("encode")

        outcome = restore_job(
            restorer,
            Job(source, target),
            tile=settings.tile,
            overlap=settings.overlap,
            track=traced,
            max_pixels=settings.max_pixels,
            strength=strength,
            observe=observe,
        )
    if outcome.error:
        raise (ServerFaultError if outcome.of_machine else UnblurError)(outcome.error)
    return round(outcome.megapixels, 3), outcome.notes
