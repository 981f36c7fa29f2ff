"""The addresses of jobs: /v1/jobs and /v1/explain take an upload, /v1/jobs/ID says how far it is and has the result."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from unblur.explaining.region import SIZE
from unblur.serving.body import GONE, hand_on
from unblur.serving.jobs.explaining import Place, place_of, why_not
from unblur.serving.jobs.job import ENDED, VIDEO_TYPES, Job
from unblur.serving.jobs.store import Jobs
from unblur.serving.options import strength_of
from unblur.serving.policies import OF_EXPLANATION
from unblur.serving.responses import OF_UPLOADS, refusals
from unblur.serving.tracing import carried
from unblur.serving.upload import TYPES

PAGE_TYPES = {"html": "text/html; charset=utf-8"}
LOOK_SECONDS = 0.2  # between two looks how far a job is
BEAT_SECONDS = 10.0  # until a line says that the connection stands
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}
JobEnding = Literal["jpg", "png", "webp", "tiff", "avif", "heic", "mp4", "mov", "mkv"]


def add_jobs(app: FastAPI, jobs: Jobs) -> None:
    """Add the addresses to a server."""
    settings = jobs.settings

    async def begun(request: Request, strength: float | None, ending: str | None, place: Place | None) -> JSONResponse:
        length = request.headers.get("content-length", "")
        announced = min(int(length), settings.job_bytes) if length.isdecimal() else 0
        job = jobs.open(strength, ending, announced, place, request.scope["unblur.id"])
        try:
            await _store(request, job, jobs)
            await asyncio.to_thread(carried(jobs.begin), job)
            if await request.is_disconnected():
                raise HTTPException(GONE, "the client has gone")  # nobody will know its id
        except BaseException:
            jobs.delete(job)
            raise
        return JSONResponse(told(job), 202, {"location": f"/v1/jobs/{job.id}"})

    @app.post("/v1/jobs", openapi_extra=FILE, status_code=202, responses=refusals(404, *OF_UPLOADS))
    async def begin(request: Request, strength: str = "1", format: JobEnding | None = None) -> JSONResponse:
        """Restore the photograph or video in the body while the client asks how far it is.

        strength is 0 to 1, or of a photograph auto; without a format it keeps its own as far as that is written.
        """
        return await begun(request, strength_of(strength), format, None)

    @app.post("/v1/explain", openapi_extra=FILE, status_code=202, responses=refusals(404, *OF_UPLOADS))
    async def explain(
        request: Request,
        at: Annotated[str, Query(examples=["320,200"])],
        size: int = SIZE,
        time: Annotated[float | None, Query(examples=[1.2])] = None,
    ) -> JSONResponse:
        """Explain why the model restores a region of the photograph or clip in the body so; the result is a page.

        at is the region's middle, X,Y in pixels of the upright photograph, size its side; time are the seconds of a
        clip at which the frame is shown, which is explained as a photograph, 0 without it.
        """
        place = place_of(at, size, time)
        if line := why_not(jobs.served.now, settings):
            raise HTTPException(404, line)
        return await begun(request, None, None, place)

    @app.get("/v1/jobs/{identity}", responses=refusals(401, 404))
    async def state(identity: str) -> dict[str, Any]:
        return told(jobs.get(identity))

    @app.delete("/v1/jobs/{identity}", responses=refusals(401, 404))
    async def delete(identity: str) -> dict[str, Any]:
        job = jobs.get(identity)
        jobs.delete(job)
        return told(job)

    @app.get("/v1/jobs/{identity}/events", response_class=StreamingResponse, responses=refusals(401, 404))
    async def events(identity: str) -> StreamingResponse:
        return StreamingResponse(_events(jobs.get(identity)), media_type="text/event-stream")

    @app.get("/v1/jobs/{identity}/result", response_class=FileResponse, responses=refusals(401, 404, 409))
    async def result(request: Request, identity: str) -> FileResponse:
        job = jobs.get(identity)
        if job.status != "done":
            raise HTTPException(409, f"the job is {job.status}{job.error and f': {job.error}'}; there is no result")
        if not job.target.is_file():
            raise HTTPException(404, "the result is gone: something has cleaned up the server's temporary files")
        kind = (TYPES | VIDEO_TYPES | PAGE_TYPES)[str(job.ending)]
        if job.place:
            request.scope["unblur.policy"] = OF_EXPLANATION
        return FileResponse(job.target, media_type=kind, filename=job.target.name)


def told(job: Job) -> dict[str, Any]:
    """Return what is said of a job."""
    address = f"/v1/jobs/{job.id}"
    said: dict[str, Any] = {"id": job.id, "status": job.status, "share": round(job.share, 4), "kind": job.kind}
    said |= {"format": job.ending, "address": address, "events": f"{address}/events"}
    if job.frames:
        said["frames"] = job.frames
    if job.by is not None:
        said |= {"model": job.by.model.name, "version": job.by.version, "sha256": job.by.model.sha256}
    if job.status == "done":
        said |= {"result": f"{address}/result", "bytes": job.size, "seconds": job.seconds}
        said["notes"] = list(job.notes)
    if job.error:
        said["error"] = job.error
    return said


async def _events(job: Job) -> AsyncIterator[str]:
    """Yield what is said of a job now and whenever that changes, up to how it ends."""
    number, last, beat = 0, "", asyncio.get_running_loop().time()
    while True:
        ended = job.status in ENDED  # before the look: what comes between the two is told by the next
        said, now = json.dumps(told(job)), asyncio.get_running_loop().time()
        if said != last or ended:
            yield f"event: {'end' if ended else 'progress'}\nid: {number}\ndata: {said}\n\n"
            number, last, beat = number + 1, said, now
        elif now > beat + BEAT_SECONDS:
            yield ": the job goes on\n\n"
            beat = now
        if ended:
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _store(request: Request, job: Job, jobs: Jobs) -> None:
    """Write the upload into the job's folder."""
    try:
        with job.source.open("wb") as stream:

            def take(part: bytes) -> None:
                stream.write(part)
                job.size += len(part)
                jobs.refuse_more()

            await hand_on(request, take, jobs.settings.job_bytes, jobs.settings.job_upload_seconds)
    except OSError as error:
        raise HTTPException(503, f"the upload cannot be stored ({error.strerror}); try again later") from error
