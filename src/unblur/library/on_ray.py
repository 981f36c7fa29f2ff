"""Restores an archive by processes on one machine or many: actors of Ray, each with a photograph at a time.

Not Ray Data: it takes about 50 ms of the driver for a photograph that is a block of its own, and where a process dies
it either tries the block for ever or leaves it away without a word.
"""

import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from unblur import __version__
from unblur.errors import UnblurError, UsageError
from unblur.library.buckets import ObjectJob, restore_object
from unblur.models.loading import load_chosen
from unblur.restoring.folder import Job, Outcome, comparison_path, restore_job
from unblur.safety.hashing import sha256_file
from unblur.safety.written import Made, note_down

OBJECTS = 200_000_000  # bytes of Ray's object store on a machine that it is started on: only names and notes go through
TRIES = 2  # of a photograph whose process dies: the first time it may have been the machine's fault
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning of what a later Ray will do
}
Written = dict[Path, tuple[Made, str]]  # a file that a worker has written: what it was made of, its SHA-256


@dataclass(frozen=True)
class Loading:
    """What a worker loads: a model's reference, as `load_chosen` takes it, and its SHA-256 here."""

    reference: str | None
    sha256: str
    choices: Mapping[str, Any]


@contextmanager
def cluster(address: str | None = None) -> Iterator[None]:
    """Start Ray on this machine, or connect to the cluster at `address`, and leave it at the end.

    Raises:
        UnblurError: it cannot be started, or does not answer.
    """
    os.environ.update(QUIET)
    import ray

    on_stop = signal.getsignal(signal.SIGTERM)
    _connect(address)
    # Ray prints of each process that dies, and has no switch for it; the line of the photograph says so already.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    signal.signal(signal.SIGTERM, on_stop)  # which Ray has taken
    try:
        yield
    finally:
        ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    if address is not None:
        _require_listening(address)
    started: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECTS} if address is None else {}
    for last in (False, True):  # it gives up after 30 s, which a busy machine may take the first time
        try:
            ray.init(address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **started)
        except Exception as error:  # that very class where it starts too slowly
            ray.shutdown()
            if address is None and not last:
                continue
            where = f"{address}: Ray does not answer there" if address else "Ray cannot be started on this machine"
            msg = f"{where} ({' '.join(str(error).split())[:200]}); see `ray status`, or leave out --engine ray"
            raise UnblurError(msg) from error
        return


def _require_listening(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        msg = f"--ray-address {address}: expected HOST:PORT, as `ray start --head` tells it"
        raise UsageError(msg)
    try:
        socket.create_connection((host, int(port)), 10).close()
    except (OSError, OverflowError) as error:
        msg = f"--ray-address {address}: nobody listens there ({error}); see `ray status` on its first machine"
        raise UnblurError(msg) from error


def sharing(workers: int | None, threads: int | None) -> tuple[int, int]:
    """Return how many workers there are and the threads of each: what is None follows from the cluster's processors.

    A worker has four of them, or a machine's if it has fewer.
    """
    import ray

    total = int(ray.cluster_resources().get("CPU", 1))
    largest = int(max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]))
    workers = workers or max(1, total // min(largest, threads or 4))
    return workers, threads or max(1, min(largest, total // workers))


def restore_on_ray(
    jobs: Sequence[Job | ObjectJob], loading: Loading, work: Mapping[str, Any], *, workers: int
) -> Iterator[Outcome]:
    """Restore photographs in a cluster that has been connected to (`cluster`), and yield the outcomes as they come.

    Folders are reached by the same paths on every machine. Only this process writes the lists of what was made: what
    several machines append to one file on a shared disk may be lost. A bucket has no such lists.

    Args:
        jobs: from `plan_jobs` and `outstanding`, or those of a bucket.
        loading: the model that each worker loads.
        work: the other arguments of `restore_job`, with `making`, `compare` and `max_pixels`.
        workers: processes; each has the threads that `loading` says, and a GPU of its own where that says so.

    Raises:
        UnblurError: a worker cannot start, or would not restore as this machine does.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    share = max(1, int(ray.cluster_resources().get("CPU", 1)) // workers)
    gpu = loading.choices["device"] in {"cuda", "tensorrt"}
    Worker: Any = ray.remote(num_cpus=min(loading.choices["threads"], share), num_gpus=int(gpu))(_Worker)  # noqa: N806
    running: dict[Any, tuple[Any, Job | ObjectJob | None]] = {}
    waiting, lost = deque(jobs), dict.fromkeys(jobs, 0)

    def start() -> None:
        actor = Worker.remote()
        running[actor.load.remote(str(Path.cwd()), loading, work)] = actor, None

    for _ in range(min(workers, len(jobs))):
        start()
    while waiting or any(job for _, job in running.values()):
        (done,), _ = ray.wait(list(running))
        actor, job = running.pop(done)
        try:
            answer = ray.get(done)
        except RayTaskError as error:
            raise error.cause from None  # as where this process had done it
        except RayError as error:
            if job is None:
                msg = f"Ray cannot start a worker ({' '.join(str(error).split())[:300]}); take fewer --ray-workers"
                raise UnblurError(msg) from error
            lost[job] += 1
            if lost[job] < TRIES:
                waiting.appendleft(job)
            else:
                line = f"{job.source}: {TRIES} processes have died of it; try a smaller --tile, or leave it out"
                yield Outcome(job, 0.0, error=line)
            start()
            continue
        if job is None:
            _require_same(answer, loading)
        else:
            outcome, written = answer
            _list(job, written, work, "")
            yield outcome
        while waiting:
            job = waiting.popleft()
            try:
                _list(job, {}, work, None)
            except OSError as error:
                yield Outcome(job, 0.0, error=f"{job.target}: cannot be written ({error.strerror or error})")
                continue
            running[actor.restore.remote(job)] = actor, job
            break


class _Worker:
    """A process that restores, in a cluster."""

    def load(self, folder: str, loading: Loading, work: Mapping[str, Any]) -> tuple[str, str]:
        """Load the model; return what has to be the same on every machine: unblur's version and the model's SHA-256."""
        os.chdir(folder)  # paths may be relative, and messages show them as they were given
        Image.MAX_IMAGE_PIXELS = work["max_pixels"]
        self.restorer = load_chosen(loading.reference, **loading.choices)
        self.work = work
        return __version__, self.restorer.sha256

    def restore(self, job: Job | ObjectJob) -> tuple[Outcome, Written]:
        """Restore a photograph, and return what is to be written down."""
        written: Written = {}
        if isinstance(job, ObjectJob):
            return restore_object(self.restorer, job, **self.work), written

        @contextmanager
        def noted(target: Path, made: Made) -> Iterator[None]:
            yield
            written[target] = made, sha256_file(target)

        return restore_job(self.restorer, job, record=noted, **self.work), written


def _list(job: Job | ObjectJob, written: Written, work: Mapping[str, Any], otherwise: str | None) -> None:
    """Write down of what a job writes what each file was made of, `otherwise` where it has not been written.

    Before the work that is None, of what nobody knows yet, so that a kill is noticed (`unblur.safety.written`).
    """
    if isinstance(job, ObjectJob):
        return
    nothing = Made("", work["making"].model_sha256, work["making"].options)
    for target in (job.target, *([comparison_path(job.target)] if work["compare"] else [])):
        note_down(target, *written.get(target, (nothing, otherwise)))


def _require_same(answer: tuple[str, str], loading: Loading) -> None:
    here = __version__, loading.sha256
    if answer != here:
        msg = (
            f"a worker has unblur {answer[0]} and a model of SHA-256 {answer[1][:12]}, this machine {here[0]} and "
            f"{here[1][:12]}; install the same unblur on every machine, and name the model by a file or version"
        )
        raise UnblurError(msg)
