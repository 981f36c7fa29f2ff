"""What can be seen of a server: metrics for Prometheus, and a line of JSON a request; never what is in a picture."""

import json
import logging
import re
import sys
import time
import uuid
from collections import Counter as Counted
from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from unblur.restoring.strength import NOTHING_TO_GAIN
from unblur.serving.desk import Desk
from unblur.serving.jobs.store import Jobs
from unblur.serving.served import Served

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
KNOWN_ID = re.compile("[A-Za-z0-9._-]{1,64}")


class Watch:
    """Counts requests; `metrics` is what Prometheus reads."""

    def __init__(self, served: Served, desk: Desk) -> None:
        self._registry = all_ = CollectorRegistry()
        all_.register(_OfNow(served, desk))
        self._requests = Counter("unblur_requests", "Answers", ["path", "status"], registry=all_)
        about = "From a request's head to its answer's end"
        self._seconds = Histogram("unblur_request_seconds", about, ["path"], buckets=SECONDS, registry=all_)
        self._guarded = Counter("unblur_guarded", "Answers in which the guard put something back", registry=all_)
        self._kept = Counter("unblur_nothing_to_gain", "Photographs that stayed as they were", registry=all_)

    def add(self, jobs: Jobs) -> None:
        """Count these jobs too."""
        self._registry.register(_OfJobs(jobs))

    def register(self, collector: Collector) -> None:
        """Count this too."""
        self._registry.register(collector)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count an answer; `path` is one of a few."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def noted(self, notes: Sequence[str]) -> None:
        """Count what an answer's notes say."""
        self._guarded.inc(any(note.startswith("guard:") for note in notes))
        self._kept.inc(NOTHING_TO_GAIN in notes)

    def metrics(self) -> bytes:
        """Return all there is, in Prometheus' text format."""
        return generate_latest(self._registry)


class _OfNow(Collector):
    """Model and queue of the moment, looked at when they are asked for."""

    def __init__(self, served: Served, desk: Desk) -> None:
        self.served = served
        self.desk = desk

    def collect(self) -> Iterable[Metric]:
        """Yield each with its value."""
        now, served, desk = self.served.now, self.served, self.desk
        about = {"name": now.model.name, "version": now.version, "sha256": now.model.sha256}
        yield InfoMetricFamily("unblur_model", "The model that answers", value=about)
        what = "1 where the model's alias leads to one that cannot be served, or cannot be asked for"
        yield GaugeMetricFamily("unblur_model_fault", what, value=bool(served.fault))
        yield CounterMetricFamily("unblur_model_exchanges", "Exchanges of the model", value=served.exchanges)
        yield GaugeMetricFamily("unblur_restoring", "Photographs that are restored", value=desk.restoring)
        waiting = max(0, desk.inside - desk.restoring)
        yield GaugeMetricFamily("unblur_waiting", "Requests that wait or send", value=waiting)


class _OfJobs(Collector):
    """How many jobs there are, by status."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def collect(self) -> Iterable[Metric]:
        """Yield the one gauge."""
        by_status = GaugeMetricFamily("unblur_jobs", "Jobs that the server knows", labels=["status"])
        for status, count in Counted(job.status for job in list(self.jobs.all.values())).items():
            by_status.add_metric([status], count)
        yield by_status


def request_id(given: str) -> str:
    """Return the id of a request: the client's own, if it is one that a log can hold, else a new one."""
    return given if KNOWN_ID.fullmatch(given) else uuid.uuid4().hex


class JsonLines(logging.Formatter):
    """A line of JSON a message: time (UTC), level, logger, message, what `extra={"about": {...}}` holds, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stdout() -> None:
    """Write the log of this process to stdout: the server's from INFO on, all other from WARNING on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("unblur.serving").setLevel(logging.INFO)
