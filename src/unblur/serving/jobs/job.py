"""A job: a photograph or video that is restored, or explained, while its client asks how far it is."""

import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unblur.config.extras import install, is_installed
from unblur.errors import MissingPackageError, UnblurError, UsageError
from unblur.images.header import READABLE as PICTURES
from unblur.images.header import check_image_header
from unblur.serving.jobs.explaining import Place, explain
from unblur.serving.served import Loaded
from unblur.serving.settings import Settings
from unblur.serving.stopping import StoppedWorkError
from unblur.serving.upload import ENDINGS, TYPES, restore_photograph

VIDEO_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska"}
MATROSKA = b"\x1a\x45\xdf\xa3"  # how MKV and WebM begin
NO_PICTURE = "not a picture that can be read"  # of `check_image_header`: it may be a video then
ENDED = ("done", "failed", "cancelled")


@dataclass
class Job:
    """What is asked for, and what has become of it; its files lie in `folder` alone.

    `status` is queued, restoring, done, failed or cancelled, `share` the tiles or frames that are done, 0 to 1, `size`
    the bytes of its files, `seconds` what its restoration took. `ended` is the moment of `time.time`.
    """

    folder: Path
    strength: float | None
    ending: str | None
    place: Place | None = None  # that is explained; None has the upload restored
    request: str = ""  # its id
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    status: str = "queued"
    share: float = 0.0
    kind: str = ""
    frames: int = 0  # of a video, as its header announces them
    size: int = 0
    notes: tuple[str, ...] = ()
    error: str = ""
    by: Loaded | None = None
    seconds: float = 0.0
    ended: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def source(self) -> Path:
        """The upload."""
        return self.folder / "upload"

    @property
    def target(self) -> Path:
        """The result."""
        return self.folder / f"{'explained' if self.place else 'restored'}.{self.ending}"

    def begin(self) -> bool:
        """Say that it is worked on, unless it has been cancelled; return whether it is."""
        with self._lock:
            if self.status == "queued":
                self.status = "restoring"
            return self.status == "restoring"

    def end(self, status: str, error: str = "") -> str:
        """Say how it has ended, once: what was cancelled stays so. Return what it was before."""
        with self._lock:
            before = self.status
            if before not in ENDED:
                self.error, self.ended = error, time.time()
                self.status = status
            return before

    def cancel(self) -> bool:
        """Have it stop before its next tile or frame; return whether it is worked on until then."""
        self.stop.set()
        return self.end("cancelled") == "restoring"

    def forget_files(self, *, upload_only: bool = False) -> None:
        """Delete its files."""
        if upload_only:
            self.source.unlink(missing_ok=True)
            self.size = self.target.stat().st_size
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.size = 0


def recognize(job: Job, settings: Settings) -> None:
    """Look at the upload's header: what it is, and which ending the result gets.

    Raises:
        UnblurError: neither a photograph nor a video that is read, or one that is too large.
        MissingPackageError: of a video, what reads videos is not installed.
        UsageError: the format or the strength that is asked for does not go with it.
    """
    try:
        header = check_image_header(job.source, settings.max_pixels, settings.job_bytes)
        if job.place:
            if job.place.time is not None:
                msg = "time names a moment of a clip, and this is a photograph; leave it out"
                raise UsageError(msg)
            job.kind, job.ending = "explanation", "html"
            return
        job.kind, known, own = "photograph", TYPES, ENDINGS.get(header.format, "png")
    except UnblurError as error:
        if NO_PICTURE not in str(error):
            raise
        if job.place:
            _frames_of(job.source, settings)
            job.place = replace(job.place, time=job.place.time or 0.0)
            job.kind, job.ending = "explanation", "html"
            return
        job.kind, known, own = "video", VIDEO_TYPES, "mkv" if _is_matroska(job.source) else "mp4"
        job.frames = _frames_of(job.source, settings)
    if job.ending is not None and job.ending not in known:
        msg = f"format {job.ending}: not for a {job.kind}; expected {', '.join(known)}"
        raise UsageError(msg)
    if job.kind == "video" and job.strength is None:
        msg = "strength auto looks at single photographs; give a number from 0 to 1 for a video"
        raise UsageError(msg)
    job.ending = job.ending or own


def restore(job: Job, now: Loaded, settings: Settings, used: Callable[[], int]) -> float:
    """Write the job's result as `unblur restore` or `unblur explain` do.

    Return the megapixels of a restored photograph, else 0.

    Args:
        job: recognized; its share is kept up to date.
        now: the model.
        settings: the limits.
        used: says how many bytes the files of all jobs take.

    Raises:
        UnblurError: it cannot be restored, or takes too long or too much room.
        StoppedWorkError: the job was cancelled.
    """
    until = time.monotonic() + settings.job_seconds

    def step(share: float) -> None:
        if job.stop.is_set():
            raise StoppedWorkError
        if time.monotonic() > until:
            msg = f"not done within {settings.job_seconds:g} s; send a smaller one, or cut it in parts"
            raise UnblurError(msg)
        require_room(used(), settings)
        job.share = share

    def tiles(steps: Sequence[Any]) -> Iterator[Any]:
        for done, each in enumerate(steps):
            step(done / len(steps))
            yield each
        job.share = 1.0

    def frames(done: int) -> None:
        job.size = sum(path.stat().st_size for path in job.folder.iterdir())
        step(min(1.0, done / job.frames) if job.frames else 0.0)

    if job.place:
        job.notes = explain(job.place, now, (job.source, job.target), settings, step)
        return 0.0
    restorer = now.model.restorer
    if job.kind == "photograph":
        megapixels, job.notes = restore_photograph(
            restorer, job.source, job.target, strength=job.strength, settings=settings, track=tiles
        )
        return megapixels
    from unblur.restoring.video import restore_video

    made = restore_video(
        restorer,
        job.source,
        job.target,
        tile=settings.tile,
        overlap=settings.overlap,
        track=frames,
        strength=1.0 if job.strength is None else job.strength,
    )
    job.share, job.notes = 1.0, (*made.notes, *made.faults)
    return 0.0


def require_room(used: int, settings: Settings) -> None:
    """Raise UnblurError where the files of all jobs take more bytes than they may."""
    if used > settings.jobs_bytes:
        msg = "the files of all jobs take more bytes than the server allows; send it later, or a smaller one"
        raise UnblurError(msg)


def _frames_of(source: Path, settings: Settings) -> int:
    if not is_installed("av"):  # so nobody can tell whether it is a video at all
        msg = f"{source}: no photograph that can be read ({PICTURES}); videos need av: {install('av')}"
        raise MissingPackageError(msg)
    from unblur.safety.videos import MAX_PIXELS, READABLE, check_video_header

    try:
        return check_video_header(source, min(settings.max_pixels, MAX_PIXELS), max_bytes=settings.job_bytes).frames
    except UnblurError as error:
        if "not a video" not in str(error):
            raise
        msg = f"{source}: neither a photograph ({PICTURES}) nor a video ({READABLE}) that can be read; is it whole?"
        raise UnblurError(msg) from error


def _is_matroska(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(MATROSKA)) == MATROSKA
