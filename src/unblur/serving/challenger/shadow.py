"""`unblur serve --shadow`: a share of what the champion has answered is put to a challenger too, whom nobody sees.

One thread of the server hands requests on to the challenger's process and counts what comes back. What is more than the
backlog holds is dropped and counted; where the process dies or hangs, it is started again after a pause that doubles.
"""

import logging
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass

from prometheus_client import Counter, Histogram

from unblur.records.shadow import Pair, Tally
from unblur.runtimes.mlflow_reference import VERSION
from unblur.serving.challenger.messages import Asked, Compared, Publish, Ready
from unblur.serving.challenger.process import ChallengerProcess, GoneError
from unblur.serving.challenger.share import chosen
from unblur.serving.settings import Settings
from unblur.serving.watching import SECONDS

LOG = logging.getLogger("unblur.serving")
BACKLOG = 8  # requests
BACKLOG_BYTES = 256 << 20
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until the process is started again
PUBLISH_REQUESTS, PUBLISH_SECONDS = 100, 60.0  # after as many, or as long, the registry gets the counts
END_SECONDS = 10.0  # that the last request and the last counts get when the server ends


@dataclass(frozen=True)
class Waiting:
    """A request in the backlog."""

    asked: Asked
    content: bytes
    answer: bytes


class Shadow:
    """The challenger of a server.

    Args:
        reference: what `--model` takes; an alias is followed.
        share: of the requests, 0 to 1.
        settings: of the server.
        follow: seconds between two looks where the alias leads.
        patience: seconds that a request may take; None takes those of the server.
    """

    def __init__(
        self, reference: str, share: float, settings: Settings, follow: float = 5.0, patience: float | None = None
    ) -> None:
        self.reference, self.share, self.settings, self.follow = reference, share, settings, follow
        self.patience = settings.seconds if patience is None else patience
        self.id = secrets.token_hex(8)  # by which the registry finds again what it has of this server
        self.tallies: dict[Pair, Tally] = {}
        self.fault = ""
        self.process: ChallengerProcess | None = None
        self._now = Ready()
        self._fresh: dict[Pair, int] = {}  # requests that the registry does not have yet
        self._published = time.monotonic()
        self._last: Pair | None = None
        self._dropped = 0  # and in no tally yet
        self._backlog: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._outcomes = Counter("unblur_shadow", "Requests put to the challenger", ["outcome"], registry=None)
        buckets = (15, 20, 25, 30, 35, 40, 45, 50, 60, 80)
        self._psnr = Histogram("unblur_shadow_psnr", "dB between both answers", buckets=buckets, registry=None)
        steps, about = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16), "Largest difference of a channel's means, steps of 255"
        self._shift = Histogram("unblur_shadow_colour_shift", about, buckets=steps, registry=None)
        taken = "Restoration of the same photographs"
        self._seconds = Histogram("unblur_shadow_seconds", taken, ["model"], buckets=SECONDS, registry=None)
        self._restarts = Counter("unblur_shadow_restarts", "Starts after the process had gone", registry=None)
        self.collectors = (self._outcomes, self._psnr, self._shift, self._seconds, self._restarts)

    def takes(self, request: str) -> bool:
        """Say whether a request, by its id, is one of the share."""
        return chosen(request, self.share)

    async def offer(self, asked: Asked, content: bytes, answer: bytes) -> None:
        """Take an upload and its answer, if there is room for them; returns at once."""
        with self._changed:
            held = sum(len(each.content) + len(each.answer) for each in self._backlog)
            if self._ending.is_set() or len(self._backlog) >= BACKLOG or held + len(content) > BACKLOG_BYTES:
                self._drop()
                return
            self._backlog.append(Waiting(asked, content, answer))
            self._changed.notify()

    def told(self) -> dict[str, str]:
        """Return what /readyz says of it."""
        told = {"shadow": self._now.called or self.reference}
        return told | ({"shadow_fault": self.fault} if self.fault else {})

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """End: the counts go to the registry, the process is killed."""
        with self._changed:
            self._ending.set()
            for _ in self._backlog:
                self._drop()
            self._backlog.clear()
            self._changed.notify()
        self._thread.join(END_SECONDS)
        if self.process is not None:
            self.process.kill()
        for pair, count in self._fresh.items():
            if _of_registry(pair):
                about = {"shadow": pair.challenger, "requests": count}
                LOG.error("the registry has not got the last counts of the challenger", extra={"about": about})

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._ending.is_set():
            try:
                self.process = ChallengerProcess(self.reference, self.follow, self.settings, self.patience)
                self._begin(self.process)
                while (waiting := self._next(self.process)) is not None:
                    self._put(self.process, waiting)
                    pause = FIRST_PAUSE
                self._publish(self.process)
            except (GoneError, OSError) as gone:  # OSError: there is no room for a process
                self.fault = "the challenger has failed; the log says why"
                if not self._ending.is_set():
                    LOG.warning("the challenger %s; started again in %g s", gone, pause)
            finally:
                if self.process is not None:
                    self.process.kill()
            if self._ending.wait(pause):
                break
            self._restarts.inc()
            pause = min(2 * pause, LONGEST_PAUSE)
        if any(map(_of_registry, self._fresh)):
            self._publish_alone()

    def _begin(self, process: ChallengerProcess) -> None:
        ready: Ready = process.begin()
        if ready.fault:
            msg = f"cannot be loaded ({ready.fault})"
            raise GoneError(msg, late=False)
        self._now, self.fault = ready, ""
        about = {"shadow": ready.called, "sha256": ready.sha256, "share": self.share}
        LOG.info("a challenger answers in the shadow", extra={"about": about})

    def _next(self, process: ChallengerProcess) -> Waiting | None:
        """Wait for a request, and see to the registry meanwhile; None where the server ends."""
        while True:
            with self._changed:
                if not self._backlog and not self._ending.is_set():
                    self._changed.wait(PUBLISH_SECONDS if self._fresh else None)
                if self._ending.is_set():
                    return None
                waiting = self._backlog.popleft() if self._backlog else None
            over = time.monotonic() >= self._published + PUBLISH_SECONDS
            if over or sum(self._fresh.values()) >= PUBLISH_REQUESTS:
                self._publish(process)
            if waiting is not None:
                return waiting

    def _put(self, process: ChallengerProcess, waiting: Waiting) -> None:
        asked = waiting.asked
        try:
            found: Compared = process.ask(asked, waiting.content, waiting.answer)
        except GoneError as gone:
            pair = Pair(asked.champion, asked.champion_sha256, self._now.called, self._now.sha256)
            self._note(asked, Compared(pair, error=f"the challenger {gone}"), "late" if gone.late else "died")
            raise
        if found.pair.challenger != self._now.called:  # its alias has moved
            self._now = Ready(found.pair.challenger, found.pair.challenger_sha256)
        self._note(asked, found, "same" if found.same else "failed" if found.error else "compared")

    def _note(self, asked: Asked, found: Compared, outcome: str) -> None:
        """Count what came back, and leave a line in the log."""
        self._outcomes.labels(outcome).inc()
        about: dict[str, object] = {"request": asked.request, "outcome": outcome, "champion": asked.champion}
        about |= {"champion_sha256": asked.champion_sha256, "challenger": found.pair.challenger}
        about |= {"challenger_sha256": found.pair.challenger_sha256}
        if found.same:
            LOG.debug("shadowed", extra={"about": about})
            return
        counts = Tally(requests=1, errors=bool(found.error))
        if found.error:
            about["error"] = found.error
        else:
            self._psnr.observe(found.psnr)
            self._shift.observe(found.colour_shift)
            self._seconds.labels("champion").observe(asked.milliseconds / 1000)
            self._seconds.labels("challenger").observe(found.milliseconds / 1000)
            counts.guarded, counts.champion_guarded = found.guarded, asked.guarded
            counts.champion_ms, counts.challenger_ms = asked.milliseconds, found.milliseconds
            counts.colour_shift_max = found.colour_shift
            counts.psnr[int(found.psnr)] = 1
            about |= {"champion_ms": round(asked.milliseconds, 1), "challenger_ms": round(found.milliseconds, 1)}
            about |= {"psnr": round(found.psnr, 2), "colour_shift": round(found.colour_shift, 3)}
            about |= {"champion_guarded": asked.guarded, "challenger_guarded": found.guarded}
        self.tallies[found.pair] = self.tallies.get(found.pair, Tally()) + counts
        self._fresh[found.pair] = self._fresh.get(found.pair, 0) + 1
        self._last = found.pair
        LOG.info("shadowed", extra={"about": about})

    def _publish(self, process: ChallengerProcess) -> None:
        """Have the registry hold all that was counted, as far as the challenger is one of its versions."""
        self._published = time.monotonic()
        if self._last is not None and self._dropped:
            with self._changed:
                self.tallies[self._last].dropped += self._dropped
                self._dropped = 0
            self._fresh.setdefault(self._last, 0)
        for pair in [pair for pair in self._fresh if not _of_registry(pair)]:
            del self._fresh[pair]
        for pair in list(self._fresh):
            told = process.ask(Publish(pair, self.tallies[pair], self.id))
            if told.fault:
                LOG.warning("the registry does not take the counts of the challenger yet: %s", told.fault)
                continue
            del self._fresh[pair]

    def _publish_alone(self) -> None:
        """Do so at the end, where the challenger's process had gone before."""
        self.process = ChallengerProcess("", 0, self.settings, END_SECONDS)
        try:
            self.process.begin()
            self._publish(self.process)
        except GoneError:
            pass  # `close` tells it
        finally:
            self.process.kill()

    def _drop(self) -> None:
        self._dropped += 1
        self._outcomes.labels("dropped").inc()


def _of_registry(pair: Pair) -> bool:
    named = VERSION.fullmatch(pair.challenger)
    return named is not None and named[3] is not None
