"""Statistics of what a server restores, appended to a folder as small Parquet files, each whole or not there.

Rows are kept in memory until there are enough of them or some minutes have passed, and are then written by a thread of
their own: a request never waits for the disk, and a crash loses the last batch at most.
"""

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from unblur.drift.columns import SUFFIX, Row, write_rows
from unblur.drift.jpeg import jpeg_quality
from unblur.drift.statistics import measure
from unblur.images.header import check_image_header
from unblur.restoring.answer import Answer
from unblur.safety.owned import claim_folder

LOG = logging.getLogger("unblur.serving")
MOMENT = "%Y%m%dT%H%M%S"  # UTC
NAME = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{8}" + re.escape(SUFFIX))
COMMAND = "serve --statistics"
MAX_PIXELS = 250_000_000  # what `read_photo` reads where nobody says another limit
LONGEST_DAYS = 36_500  # that files are kept: a longer time begins before there are dates
KEPT_BATCHES = 10  # that wait where the disk is full; older rows go


class Recorder:
    """Takes a row for each restored photograph, and writes them to a folder until it is closed."""

    def __init__(
        self, folder: Path, *, rows: int = 1000, seconds: float = 300.0, days: float = 90.0, megabytes: float = 1024.0
    ) -> None:
        """Claim the folder and begin to write.

        Args:
            folder: of this server, or of several; is made if it is missing.
            rows: in a file at most.
            seconds: that rows wait at most.
            days: after which a file is deleted.
            megabytes: of all files; the oldest are deleted beyond that.

        Raises:
            UnblurError: the folder holds what unblur did not write.
            OSError: it cannot be written.
        """
        claim_folder(folder, COMMAND)
        self.folder = folder
        self.rows, self.seconds, self.days, self.megabytes = rows, seconds, days, megabytes
        self._waiting: list[Row] = []
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._wake, self._closed = threading.Event(), False
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="statistics", daemon=True)
        self._thread.start()

    def observer(self, source: Path, sha256: str, max_pixels: int = MAX_PIXELS) -> Callable[[Any, Answer], None]:
        """Return what `restore_job` calls with the pixels of a photograph and the answer to it.

        Args:
            source: the photograph's file, of which format and quality are told.
            sha256: of the model.
            max_pixels: that were allowed when it was read.
        """
        start = time.perf_counter()

        def observe(before: Any, answer: Answer) -> None:  # noqa: ANN401
            milliseconds = 1e3 * (time.perf_counter() - start)
            try:
                self.add(
                    {
                        "time": datetime.now(UTC),
                        "model": sha256,
                        **measure(before, answer.pixels),
                        **about_file(source, max_pixels),
                        "guarded": "some" if answer.guarded else "none",
                        "strength": answer.share,
                        "milliseconds": milliseconds,
                    }
                )
            except Exception as error:  # an answer is worth more than its statistics
                self._tell(error, "a photograph's statistics could not be taken")

        return observe

    def add(self, row: Row) -> None:
        """Take a row; see `unblur.drift.columns.SCHEMA`."""
        with self._lock:
            self._waiting.append(row)
            if len(self._waiting) >= self.rows:
                self._wake.set()

    def flush(self) -> None:
        """Write what waits now, and delete what is too old or too much. What fails is logged, and tried again later."""
        with self._writing:
            with self._lock:
                batch, self._waiting = self._waiting, []
            try:
                while batch:
                    moment = datetime.now(UTC).strftime(MOMENT)
                    write_rows(self.folder / f"{moment}-{secrets.token_hex(4)}{SUFFIX}", batch[: self.rows])
                    del batch[: self.rows]
                self._delete()
                self._told.clear()
            except Exception as error:  # the disk is full or gone: the server goes on
                self._tell(error, f"{self.folder}: statistics cannot be written")
                with self._lock:
                    self._waiting = [*batch, *self._waiting][-KEPT_BATCHES * self.rows :]

    def close(self) -> None:
        """Write what waits, and end."""
        self._closed = True
        self._wake.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(self.seconds)
            self._wake.clear()
            self.flush()

    def _delete(self) -> None:
        """Delete files of ours that are too old, and the oldest of those that are too much."""
        oldest = (datetime.now(UTC) - timedelta(days=min(self.days, LONGEST_DAYS))).strftime(MOMENT)
        left = self.megabytes * 1e6
        for path in sorted((path for path in self.folder.iterdir() if NAME.fullmatch(path.name)), reverse=True):
            left -= path.stat().st_size
            if path.name < oldest or left < 0:
                path.unlink(missing_ok=True)

    def _tell(self, error: Exception, what: str) -> None:
        """Log a failure, each kind once until it has gone."""
        if what not in self._told:
            self._told.add(what)
            LOG.error("%s: %s", what, error, exc_info=not isinstance(error, OSError))


def about_file(source: Path, max_pixels: int = MAX_PIXELS) -> Row:
    """Return format and quality of the file of a photograph with at most `max_pixels`."""
    kind = check_image_header(source, max_pixels).format
    return {"format": "JPEG" if kind == "MPO" else kind, "quality": jpeg_quality(source)}
