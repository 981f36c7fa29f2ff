"""Where requests wait and are worked on: so many places, so many at once, each within its time."""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starlette.exceptions import HTTPException

from unblur.serving.body import GONE
from unblur.serving.settings import Settings
from unblur.serving.tracing import Span, carried

T = TypeVar("T")
Work = Callable[[threading.Event], T]

LOOK_SECONDS = 0.25  # between two looks whether the client is still there


async def stays() -> bool:
    """Say that the client is there: of one whose going away cancels the request."""
    return False


class Desk:
    """Gives out places: who is one too many is told when to come back. `restoring` of those `inside` are worked on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.inside = 0
        self.restoring = 0
        self.usual = 1.0  # seconds of a restoration, a running mean
        self._workers = ThreadPoolExecutor(settings.workers, thread_name_prefix="restore")
        self._lock = threading.Lock()

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """Take a place for a request, or raise 429; it is given back when the block and its work have ended."""
        with self._lock:
            if self.inside >= self.settings.workers + self.settings.waiting:
                after = math.ceil(self.usual * self.inside / self.settings.workers)
                raise HTTPException(429, "too many requests wait already", {"retry-after": str(max(1, after))})
            self.inside += 1
        place = Place(self)
        try:
            yield place
        finally:
            if not place.working:
                self.leave()

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self.inside -= 1

    def begin(self, work: Work[T], stop: threading.Event) -> asyncio.Future[T]:
        """Put work into the queue; the place is given back at its end, which may be after the client has gone."""
        waits = self.settings.traces.begin("queue")
        begun = self._workers.submit(carried(self._work), work, stop, waits)
        begun.add_done_callback(lambda _: waits.end())  # of one that was cancelled too
        begun.add_done_callback(lambda _: self.leave())
        return asyncio.wrap_future(begun)

    def _work(self, work: Work[T], stop: threading.Event, waits: Span) -> T:
        waits.end()
        start = time.perf_counter()
        with self._lock:
            self.restoring += 1
        try:
            done = work(stop)
        finally:
            with self._lock:
                self.restoring -= 1
        self.usual += 0.2 * (time.perf_counter() - start - self.usual)
        return done


class Place:
    """The place of one request, for one piece of work."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.working = False

    async def do(self, work: Work[T], seconds: float | None, gone: Callable[[], Awaitable[bool]] = stays) -> T:
        """Have the work done by a worker, and return what it returns.

        Args:
            work: gets an event that is set when nobody waits for it any more.
            seconds: that the client gives it, from now on and waiting included; never more than the server does.
            gone: says whether the client has gone away.

        Raises:
            HTTPException: 503 where the time is over, 499 where the client has gone.
        """
        most = self.desk.settings.seconds
        seconds = most if seconds is None else min(seconds, most)
        stop, loop = threading.Event(), asyncio.get_running_loop()
        answer = self.desk.begin(work, stop)
        self.working = True
        until = loop.time() + seconds
        try:
            while not answer.done():
                if loop.time() >= until:
                    raise HTTPException(503, f"not done within {seconds:g} s; send a smaller one, or later")
                if await gone():
                    raise HTTPException(GONE, "the client has gone")
                await asyncio.wait({answer}, timeout=max(0, min(LOOK_SECONDS, until - loop.time())))
            return answer.result()
        finally:
            stop.set()
            answer.cancel()  # what still waits in the queue leaves it
