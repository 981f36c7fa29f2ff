"""Where requests wait and are worked on: so many places, so many at once, each within its time."""

import asyncio
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from unblur.runtimes.restorer import Restorer
from unblur.serving.settings import Settings
from unblur.serving.upload import Restored, restore_upload

LOOK_SECONDS = 0.25  # between two looks whether the client is still there
GONE = 499  # nobody reads this status; counters and log do


class Desk:
    """Gives out places: who is one too many is told when to come back. `restoring` of those `inside` are worked on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.inside = 0
        self.restoring = 0
        self.usual = 1.0  # seconds of a restoration, a running mean
        self._workers = ThreadPoolExecutor(settings.workers, thread_name_prefix="restore")
        self._lock = threading.Lock()

    def enter(self) -> None:
        """Take a place, or raise 429."""
        with self._lock:
            if self.inside >= self.settings.workers + self.settings.waiting:
                after = math.ceil(self.usual * self.inside / self.settings.workers)
                raise HTTPException(429, "too many requests wait already", {"retry-after": str(max(1, after))})
            self.inside += 1

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self.inside -= 1

    async def restore(
        self,
        request: Request,
        restorer: Restorer,
        *,
        ending: str | None,
        strength: float | None,
        seconds: float,
    ) -> Restored:
        """Restore the photograph in the body of a request that has a place, and give the place back.

        Args:
            request: whose client may go away, which ends the work before its next tile.
            restorer: see `restore_upload`.
            ending: see `restore_upload`.
            strength: see `restore_upload`.
            seconds: from the end of the upload on, waiting in the queue included.

        Raises:
            HTTPException: 408 or 413 of the upload, 503 where the time is over, 499 where the client has gone.
            UnblurError: see `restore_upload`.
        """
        try:
            content = await _body(request, self.settings)
        except BaseException:
            self.leave()
            raise
        stop, loop = threading.Event(), asyncio.get_running_loop()
        work = self._workers.submit(self._work, restorer, content, ending, strength, stop)
        # The place is free when the work has ended, which may be after the client has gone.
        work.add_done_callback(lambda _: self.leave())
        answer = asyncio.wrap_future(work)
        until = loop.time() + seconds
        try:
            while not answer.done():
                if loop.time() >= until:
                    raise HTTPException(503, f"not done within {seconds:g} s; send a smaller one, or later")
                if await request.is_disconnected():
                    raise HTTPException(GONE, "the client has gone")
                await asyncio.wait({answer}, timeout=max(0, min(LOOK_SECONDS, until - loop.time())))
            return answer.result()
        finally:
            stop.set()
            answer.cancel()  # what still waits in the queue leaves it

    def _work(
        self,
        restorer: Restorer,
        content: bytes,
        ending: str | None,
        strength: float | None,
        stop: threading.Event,
    ) -> Restored:
        start = time.perf_counter()
        with self._lock:
            self.restoring += 1
        try:
            restored = restore_upload(
                restorer, content, ending=ending, strength=strength, settings=self.settings, stop=stop
            )
        finally:
            with self._lock:
                self.restoring -= 1
        self.usual += 0.2 * (time.perf_counter() - start - self.usual)
        return restored


async def _body(request: Request, settings: Settings) -> bytes:
    """Read the body, no more than is allowed and no longer."""
    too_large = HTTPException(413, f"more than {settings.max_bytes} bytes, the most that is taken")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.max_bytes:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(settings.upload_seconds):
            async for part in request.stream():
                content += part
                if len(content) > settings.max_bytes:
                    raise too_large
    except ClientDisconnect as error:
        raise HTTPException(GONE, "the client has gone") from error
    except TimeoutError as error:
        raise HTTPException(408, f"the upload took more than {settings.upload_seconds:g} s") from error
    return bytes(content)
