"""`unblur serve --canary`: a challenger answers a share of the clients, and the champion wherever it fails.

A client is known by its API key or else its address, and stays with one of both. An answer of the challenger that is an
error, late, or that the guard had to mend where the champion's is none of that, is the champion's to give; and after
some of those, or where it is much slower, the challenger is switched off until its alias leads to another version.
"""

import asyncio
import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from prometheus_client import Counter, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from unblur.errors import UnblurError
from unblur.serving.challenger.share import chosen
from unblur.serving.served import AGAIN_SECONDS, Loaded, Served
from unblur.serving.settings import Settings
from unblur.serving.stopping import StoppedWorkError, Stopping
from unblur.serving.tracing import carried
from unblur.serving.upload import Restored

LOG = logging.getLogger("unblur.serving")
RECENT, MOST_FAILED = 20, 2  # of so many answers so many may fail, and one less is let pass
SLOWEST, FEWEST_TIMED = 3.0, 10  # times the champion's median; of at least so many answers each
SMALLEST = 0.1  # megapixels: what is smaller takes no less

Restore = Callable[[Loaded, Stopping], Restored]


@dataclass(frozen=True)
class Answered:
    """An answer, by whom, and the milliseconds of its restoration; `canary` says what the challenger had to do with it.

    That is "" (nothing), "answered", or why it failed.
    """

    by: Loaded
    restored: Restored
    milliseconds: float
    canary: str = ""


def answer(by: Loaded, restore: Restore, stop: Stopping) -> Answered:
    """Have one model answer."""
    start = time.perf_counter()
    restored = restore(by, stop)
    return Answered(by, restored, (time.perf_counter() - start) * 1000)


class Canary(Collector):
    """The challenger of a server, in its process.

    Args:
        load: loads it, checks it, and follows it as the champion is; may raise, and is then called again later.
        share: of the clients, 0 to 1.
        settings: of the server.
    """

    def __init__(self, load: Callable[[], Served], share: float, settings: Settings) -> None:
        self.load, self.share, self.settings = load, share, settings
        self.served: Served | None = None
        self.fault = "not loaded yet"
        self._judged: Loaded | None = None
        self._again = 0.0
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._took: deque[float] = deque(maxlen=RECENT)
        self._champion_took: deque[float] = deque(maxlen=RECENT)
        self._lock = threading.Lock()
        self._answers = Counter("unblur_canary", "Requests put to the challenger", ["outcome"], registry=None)

    def collect(self) -> Iterable[Metric]:
        """Yield what Prometheus reads."""
        yield from self._answers.collect()
        yield GaugeMetricFamily("unblur_canary_on", "1 where the challenger answers its share", value=not self.fault)

    def told(self) -> dict[str, str]:
        """Return what /readyz says of it."""
        now = self.served.now if self.served else None
        fault = self.fault or (self.served.fault if self.served else "")
        return {"canary": now.called if now else ""} | ({"canary_fault": fault} if fault else {})

    def look(self) -> None:
        """Load it if it is not, and see whether its alias leads to another version, which begins anew."""
        if self.served is not None:
            self.served.look()
        elif time.monotonic() >= self._again:
            try:
                self.served = self.load()
            except Exception as error:  # whatever it is: the champion goes on alone
                self._again = time.monotonic() + AGAIN_SECONDS
                self.fault = "cannot be loaded; the log says why"
                LOG.error("the canary cannot be loaded: %s", error, exc_info=not isinstance(error, UnblurError))
        if self.served is not None and self.served.now is not self._judged:
            with self._lock:
                self._judged, self.fault = self.served.now, ""
                self._recent.clear()
                self._took.clear()
            about = {"canary": self._judged.called, "share": self.share}
            LOG.info("a canary answers", extra={"about": about})

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(self.served.alias.seconds if self.served and self.served.alias else AGAIN_SECONDS)

    def work(
        self, client: str, champion: Loaded, restore: Restore, seconds: float | None
    ) -> Callable[[Stopping], Answered]:
        """Return the work of a request, whose answer has so many seconds from now on.

        The challenger gets half of them, so that the champion can still answer.
        """
        given = self.settings.seconds if seconds is None else min(seconds, self.settings.seconds)
        until = time.monotonic() + given / 2
        challenger = self._judged
        if self.fault or challenger is None or not chosen(f"canary {client}", self.share):
            return lambda stop: self._timed(answer(champion, restore, stop))

        def tried(stop: Stopping) -> Answered:
            if time.monotonic() >= until:  # it was in the queue for so long
                return answer(champion, restore, stop)
            found, why = _try(challenger, restore, stop, until)
            if found is not None and not why:
                self._note(challenger, True, "answered", found)
                return found
            instead = self._timed(answer(champion, restore, stop))  # if this fails too, it is the upload's fault
            if found is not None and instead.restored.guarded:
                self._note(challenger, True, "both", found)
                return instead
            self._note(challenger, False, "failed")
            return Answered(champion, instead.restored, instead.milliseconds, why)

        return tried

    def _timed(self, by_champion: Answered) -> Answered:
        with self._lock:
            self._champion_took.append(_pace(by_champion))
        return by_champion

    def _note(self, challenger: Loaded, well: bool, outcome: str, found: Answered | None = None) -> None:
        """Count an answer, and switch the challenger off where it is one too many."""
        self._answers.labels(outcome).inc()
        with self._lock:
            if self.fault or challenger is not self._judged:
                return
            self._recent.append(well)
            if found is not None:
                self._took.append(_pace(found))
            failed = self._recent.count(False)
            if failed >= MOST_FAILED:
                why = f"{failed} of its last {len(self._recent)} answers failed"
            elif (ratio := self._slower()) > SLOWEST:
                why = f"it takes {ratio:.1f} times as long as the champion"
            else:
                return
            self.fault = f"switched off: {why}"
        LOG.error("the canary is switched off: %s", why, extra={"about": {"canary": challenger.called}})

    def _slower(self) -> float:
        if min(len(self._took), len(self._champion_took)) < FEWEST_TIMED:
            return 0.0
        return statistics.median(self._took) / statistics.median(self._champion_took)


class _Until(Stopping):
    """Set when another is, or the time is over."""

    def __init__(self, stop: Stopping, until: float) -> None:
        self.stop, self.until = stop, until

    def is_set(self) -> bool:
        return self.stop.is_set() or time.monotonic() >= self.until


def _try(challenger: Loaded, restore: Restore, stop: Stopping, until: float) -> tuple[Answered | None, str]:
    """Return the challenger's answer if there is one, and what is wrong, "" if nothing.

    It works in a thread of its own, which is left behind where it hangs.
    """
    done: Future[Answered] = Future()

    def run() -> None:
        try:
            done.set_result(answer(challenger, restore, _Until(stop, until)))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=carried(run), name="canary", daemon=True).start()
    try:
        found = done.result(until - time.monotonic())
    except (TimeoutError, StoppedWorkError):
        if stop.is_set():
            raise StoppedWorkError from None
        return None, "too slow"
    except Exception as error:  # whatever it is: the champion answers
        LOG.warning("the canary has failed: %s", error, exc_info=not isinstance(error, UnblurError))
        return None, "error"
    if found.restored.guarded:
        return found, "guarded"
    return Answered(found.by, found.restored, found.milliseconds, "answered"), ""


def _pace(found: Answered) -> float:
    """Milliseconds a megapixel."""
    return found.milliseconds / max(SMALLEST, found.restored.megapixels)
