"""The jobs of a server: one is worked on, the others wait, results are kept for a while; all in a private folder."""

import asyncio
import logging
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from unblur.errors import ServerFaultError, UnblurError
from unblur.errors import one_line as shown
from unblur.restoring.folder import of_machine
from unblur.serving.jobs.explaining import Place
from unblur.serving.jobs.job import ENDED, Job, recognize, require_room, restore
from unblur.serving.served import Served
from unblur.serving.settings import Settings
from unblur.serving.stopping import StoppedWorkError
from unblur.serving.tracing import Span, carried

ENDING = "the server is ending; send it again later"
NO_JOBS = "this server takes no jobs: send photographs to /v1/restore, and videos to an `unblur serve` of its own"
EXPLAINED_SECONDS = 60  # that an explanation takes about: when to come back
LOG = logging.getLogger("unblur.serving")


class Jobs:
    """Holds the jobs by their id; `noted` gets the notes of each result.

    They have a worker of their own: a video of an hour must not keep photographs waiting; and so have explanations.
    """

    def __init__(self, served: Served, settings: Settings, noted: Callable[[Sequence[str]], None]) -> None:
        self.served, self.settings, self.noted = served, settings, noted
        self.all: dict[str, Job] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="job")
        self._explainer = ThreadPoolExecutor(1, thread_name_prefix="explanation")
        self._root: tempfile.TemporaryDirectory[str] | None = None
        self._ending = False

    def open(
        self, strength: float | None, ending: str | None, announced: int, place: Place | None = None, request: str = ""
    ) -> Job:
        """Return a new job, to write the upload of so many bytes (0 where nobody says) into; see `Job` for the others.

        Raises:
            HTTPException: 404 where the server takes none at all, 429 where there are too many, or no room; 503 where
                it is ending, or no folder can be made.
        """
        if not self.settings.jobs:
            raise HTTPException(404, NO_JOBS)
        if self._ending:
            raise HTTPException(503, ENDING)
        if len(self.all) >= self.settings.jobs:
            raise self._full()
        under_way = [job for job in self.all.values() if job.place and job.status not in ENDED]
        if place and len(under_way) >= self.settings.explanations:
            raise HTTPException(429, "other explanations wait already", {"retry-after": str(EXPLAINED_SECONDS)})
        self.refuse_more(announced)
        job = Job(self._folder(), strength, ending, place, request)
        self.all[job.id] = job
        return job

    def refuse_more(self, more: int = 0) -> None:
        """Do nothing where there is room for so many bytes more; else raise 429."""
        if self.used() + more > self.settings.jobs_bytes:
            raise self._full()

    def used(self) -> int:
        """Return how many bytes the files of all jobs take."""
        return sum(job.size for job in list(self.all.values()))

    def begin(self, job: Job) -> None:
        """Put a job whose upload is whole into the queue.

        Raises:
            UnblurError: see `recognize`; no path is named.
            ServerFaultError: the machine cannot read it.
            HTTPException: 503 where the server is ending.
        """
        try:
            recognize(job, self.settings)
        except UnblurError as error:
            fault = ServerFaultError if of_machine(error) else UnblurError
            raise fault(str(error).replace(f"{job.folder}/", "")) from error
        if self._ending:
            raise HTTPException(503, ENDING)
        waits = self.settings.traces.begin("queue")
        (self._explainer if job.place else self._worker).submit(carried(self._work), job, waits)

    def get(self, identity: str) -> Job:
        """Return a job; HTTPException 404 where there is none of that id (any more)."""
        if identity not in self.all:
            gone = "no such job; results are deleted after a while"
            raise HTTPException(404, gone if self.settings.jobs else NO_JOBS)
        return self.all[identity]

    def delete(self, job: Job) -> None:
        """Cancel a job, or forget its result; the files go when no tile or frame of it is worked on."""
        self.all.pop(job.id, None)
        if not job.cancel():
            job.forget_files()

    def look(self) -> None:
        """Delete results that have been kept for long enough."""
        for job in list(self.all.values()):
            if job.status in ENDED and time.time() > job.ended + self.settings.keep_results:
                self.delete(job)

    async def follow(self) -> None:
        """Look every second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(1)

    def stop(self) -> None:
        """Cancel all jobs, and take no more."""
        self._ending = True
        for job in self.all.values():
            job.cancel()

    def close(self) -> None:
        """Wait until no tile or frame is worked on, and delete all files."""
        self.stop()
        for worker in (self._worker, self._explainer):
            worker.shutdown(cancel_futures=True)
        if self._root is not None:
            self._root.cleanup()

    def _folder(self) -> Path:
        """Make the folder of a job, and that of all jobs where there is none: something may have cleaned it up."""
        try:
            if self._root is not None and not Path(self._root.name).is_dir():
                self._root.cleanup()
                self._root = None
            if self._root is None:
                self._root = tempfile.TemporaryDirectory(prefix="unblur-jobs-")
            return Path(tempfile.mkdtemp(dir=self._root.name))
        except OSError as error:
            LOG.error("the folder of a job cannot be made: %s", error)
            raise HTTPException(503, f"the upload cannot be stored ({error.strerror}); try again later") from error

    def _full(self) -> HTTPException:
        ended = [job.ended for job in self.all.values() if job.status in ENDED]
        after = min(ended, default=time.time()) + self.settings.keep_results - time.time()
        line = f"{len(self.all)} jobs take all the room; fetch results and delete their jobs, or come back later"
        return HTTPException(429, line, {"retry-after": str(max(1, math.ceil(after)))})

    def _work(self, job: Job, waits: Span) -> None:
        waits.end()
        with self.settings.traces.span("job") as span:
            about = self._done(job)
            span.set({f"unblur.{name}": value for name, value in about.items()})
            if job.status == "failed":
                span.fail()
        LOG.info("a job has ended", extra={"about": about})

    def _done(self, job: Job) -> dict[str, Any]:
        """Do a job, and return what log and trace say of it."""
        start, megapixels = time.perf_counter(), 0.0
        try:
            if not job.begin():
                raise StoppedWorkError
            job.by = now = self.served.now
            megapixels = restore(job, now, self.settings, self.used)
            job.forget_files(upload_only=True)
            require_room(self.used(), self.settings)  # as what is encoded comes late
            job.seconds = round(time.perf_counter() - start, 3)
            job.end("done")
            self.noted(job.notes)
        except StoppedWorkError:
            pass  # it was cancelled, which its status says already
        except UnblurError as error:
            if isinstance(error, ServerFaultError):
                LOG.exception("a job has failed")
            job.end("failed", shown(str(error).replace(f"{job.folder}/", "")))
        except Exception:
            LOG.exception("a job has failed")
            job.end("failed", "the server has failed; its log says why")
        finally:
            if job.status != "done" or job.id not in self.all:
                job.forget_files()
        seconds = round(time.perf_counter() - start, 3)
        about = {"status": job.status, "kind": job.kind, "format": job.ending, "seconds": seconds}
        about |= {"request": job.request} if job.request else {}
        about |= {"megapixels": megapixels} if megapixels else {"frames": job.frames}
        if job.by is not None:
            about |= {"version": job.by.version, "sha256": job.by.model.sha256}
        return about
