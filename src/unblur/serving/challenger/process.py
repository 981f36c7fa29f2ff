"""A challenger's process as the server holds it: of the lowest priority, one thread, killed when it takes too long."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from unblur.serving.challenger.messages import Start
from unblur.serving.settings import Settings
from unblur.serving.tracing import Traces
from unblur.serving.upload import SHARED_MEMORY

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
START_SECONDS = 300.0  # until it is loaded, at the lowest priority
WORKER = "unblur.serving.challenger.worker"


class GoneError(Exception):
    """The process has ended, or was killed; `late` where that was because it took too long."""

    def __init__(self, message: str, *, late: bool) -> None:
        super().__init__(message)
        self.late = late


class ChallengerProcess:
    """Starts it; `ask` speaks to it from one thread, `kill` may be called from any.

    Its files lie in a private folder, which goes with it: it may be killed while a photograph lies there.

    Args:
        reference: of the challenger, "" for none.
        follow: seconds between two looks where an alias leads.
        settings: of the server; its keys, secrets, statistics and traces stay here.
        patience: seconds that an answer may take.
    """

    def __init__(self, reference: str, follow: float, settings: Settings, patience: float) -> None:
        where = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
        self.patience = patience
        self._late = False
        self._folder = tempfile.TemporaryDirectory(prefix="unblur-shadow-", dir=where, ignore_cleanup_errors=True)
        ours, theirs = socket.socketpair()
        with theirs:
            # A process group of its own, as Ctrl-C is the server's to handle; a session of its own would be scheduled
            # as a whole, as if it had the server's priority.
            self.process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                process_group=0,
                env=os.environ | ONE_THREAD,
            )
        lower_priority(self.process.pid)
        self._link = Connection(ours.detach())
        self._start = Start(
            reference,
            follow,
            replace(settings, keys=(), webhook_secret="", statistics=None, traces=Traces()),
            Path(self._folder.name),
        )

    def begin(self) -> Any:  # noqa: ANN401 (what the process says)
        """Have the challenger loaded, and return what `ask` does; raises as it does."""
        return self.ask(self._start, patience=START_SECONDS)

    def ask(self, message: object, *contents: bytes, patience: float | None = None) -> Any:  # noqa: ANN401
        """Send a message and what belongs to it, and return the answer.

        Raises:
            GoneError: there is none.
        """
        patience = self.patience if patience is None else patience
        with _Timer(patience, self._give_up):
            try:
                self._link.send(message)
                for content in contents:
                    self._link.send_bytes(content)
                return self._link.recv()
            except (EOFError, OSError) as error:
                self.process.kill()
                code = self.process.wait()
                what = f"took more than {patience:g} s, killed" if self._late else f"ended with {code}"
                raise GoneError(what, late=self._late) from error

    def kill(self) -> None:
        """End it, and delete its files."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            self._link.close()
        self._folder.cleanup()

    def _give_up(self) -> None:
        self._late = True
        self.process.kill()


class _Timer:
    """Calls `act` after so many seconds, unless the block has ended."""

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self._timer = threading.Timer(seconds, act)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def lower_priority(process: int) -> None:
    """Let a process run only when no other wants to (Linux), or nearly so."""
    with suppress(OSError):  # it may have ended already
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, process, 19)
