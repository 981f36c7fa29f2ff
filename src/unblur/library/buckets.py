"""Photographs of a bucket: the process that restores one fetches it, and writes the answer back as one object.

What an object was made of stands in its own metadata. S3 writes that with the content or not at all, so nothing is half
done, no list lies beside the objects, and it does not matter who has written which.
"""

import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from unblur.errors import BrokenModelError, UnblurError, UsageError
from unblur.restoring.folder import Job, Making, Outcome, comparison_path, restore_job
from unblur.restoring.found import COMPARISON, shown
from unblur.restoring.photo import FORMATS
from unblur.runtimes.restorer import Restorer
from unblur.safety.written import Made

SCHEME = "s3://"
MADE = "unblur-made"  # metadata of what unblur has written: the SHA-256 of what it was made of
ASKED_AT_ONCE = 16  # objects whose metadata is asked for


@dataclass(frozen=True)
class ObjectJob:
    """A photograph of a bucket and where its restored version goes, as `s3://BUCKET/KEY`.

    `etag` changes with the photograph's content; `made` is what will stand in the target's metadata.
    """

    source: str
    target: str
    etag: str
    made: str = ""
    done: bool = False


def plan_objects(source: str, target: str, compare: bool = False) -> tuple[list[ObjectJob], Counter[str]]:
    """List what there is to do for `restore source target`, and count by kind what is left out.

    A source is one object, or all photographs below it as below a folder (`find_photos`); these keep their names. One
    object goes to the key `target` if that ends as a photograph, or else below it.

    Args:
        source: `s3://BUCKET/KEY` or `s3://BUCKET/FOLDER`.
        target: the same; what lies below it is no photograph of the source's.
        compare: whether before/after pictures are written too.

    Raises:
        UsageError: a target is one of the photographs, or has an unknown suffix.
        UnblurError: the bucket is missing or cannot be asked, or there are no photographs.
    """
    root, into = _root(source), _root(target)
    found = _listed(root)
    left_out: Counter[str] = Counter()
    jobs = []
    for name, etag in sorted(found.items()):
        if name == root:
            whole = into if _ending(into) in FORMATS and not target.endswith("/") else f"{into}/{_name(name)}"
            if _ending(whole) not in FORMATS:
                msg = f"{whole}: {_ending(whole)} is no format that can be written; expected {', '.join(FORMATS)}"
                raise UsageError(msg)
            jobs.append(ObjectJob(name, whole, etag))
        elif name.startswith(f"{into}/") and not root.startswith(f"{into}/") and root != into:
            continue  # what was restored before
        elif any(part.startswith(".") for part in name.removeprefix(root).split("/")):
            left_out["hidden"] += 1
        elif name.endswith(COMPARISON):
            left_out["before/after pictures"] += 1
        elif _ending(name) in FORMATS:
            jobs.append(ObjectJob(name, into + name.removeprefix(root), etag))
        else:
            left_out[_ending(name) or "without an ending"] += 1
    if not jobs:
        there = f", and there are only {shown(left_out)}" if left_out else ""
        msg = f"{source}: there are no photographs; expected {', '.join(FORMATS)}{there}"
        raise UnblurError(msg)
    sources = {job.source for job in jobs}
    for job in jobs:
        if taken := sources.intersection(_targets(job, compare)):
            msg = f"{taken.pop()}: would overwrite the photograph itself; give another place to write to"
            raise UsageError(msg)
    return jobs, left_out


def outstanding_objects(
    jobs: Sequence[ObjectJob], making: Making, target: str, *, compare: bool = False, overwrite: bool = False
) -> list[ObjectJob]:
    """Return the jobs, those marked as done whose target was made of the same photograph, model and options.

    Raises:
        UnblurError: a target is there that unblur did not write, and `overwrite` is False; the bucket cannot be asked.
    """
    jobs = [replace(job, made=_digest(making, job)) for job in jobs]
    there = _listed(_root(target)).keys()
    if overwrite:
        return jobs
    asked = sorted({url for job in jobs for url in _targets(job, compare) if url in there})
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        made = dict(zip(asked, pool.map(_made_of, asked), strict=True))
    foreign = [url for url, digest in made.items() if digest is None]
    if foreign:
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        msg = f"{foreign[0]}{more}: is there already, and unblur did not write it; give another place, or --overwrite"
        raise UnblurError(msg)
    return [replace(job, done=all(made.get(url) == job.made for url in _targets(job, compare))) for job in jobs]


def restore_object(restorer: Restorer, job: ObjectJob, *, compare: bool = False, **work: Any) -> Outcome:  # noqa: ANN401
    """Restore a photograph of a bucket by `restore_job`, in a folder of its own that goes afterwards.

    What is wrong with the photograph, or with fetching and writing it, comes back as the outcome's error.

    Args:
        restorer: see `restore_job`.
        job: from `outstanding_objects`.
        compare: see `restore_job`.
        work: the other arguments of `restore_job`; `making` does not count, as `job.made` holds it.

    Raises:
        UsageError: see `restore_job`.
        BrokenModelError: see `restore_job`.
    """
    start = time.perf_counter()

    def failed(error: str) -> Outcome:
        return Outcome(job, time.perf_counter() - start, error=error)

    try:
        with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
            local = Job(Path(folder, f"in{_ending(job.source)}"), Path(folder, f"out{_ending(job.target)}"))
            _fetch(job, local.source)
            outcome = restore_job(restorer, local, compare=compare, **{**work, "making": None})
            if outcome.error is not None:
                told = outcome.error.replace(str(local.source), job.source).replace(str(local.target), job.target)
                return failed(told)
            made = (local.target, comparison_path(local.target))
            for path, url in zip(made, _targets(job, compare), strict=False):
                with _store_errors(url):
                    _store().put_file(str(path), url, Metadata={MADE: job.made})
            return replace(outcome, job=job, seconds=time.perf_counter() - start)
    except (UsageError, BrokenModelError):
        raise
    except UnblurError as error:
        return failed(str(error))
    except OSError as error:
        return failed(f"{job.source}: {tempfile.gettempdir()} cannot hold it ({error.strerror or error}); set TMPDIR")


def _fetch(job: ObjectJob, path: Path) -> None:
    with _store_errors(job.source):
        _store().get_file(job.source, str(path))
        etag = _store().info(job.source)["ETag"]
    if etag != job.etag:
        msg = f"{job.source}: was changed since it was listed; run the same command again"
        raise UnblurError(msg)


def _targets(job: ObjectJob, compare: bool) -> list[str]:
    """Return the objects that a job writes."""
    return [job.target, f"{job.target}{COMPARISON}"] if compare else [job.target]


def _digest(making: Making, job: ObjectJob) -> str:
    made = Made(f"etag:{job.etag}", making.model_sha256, making.options)
    return hashlib.sha256(json.dumps(asdict(made), sort_keys=True, default=str).encode()).hexdigest()


def _made_of(url: str) -> str | None:
    with _store_errors(url):
        digest: str | None = _store().metadata(url).get(MADE)
        return digest


def _listed(root: str) -> dict[str, str]:
    """Return the objects at or below a place, each with its ETag; folders and their empty markers are none."""
    with _store_errors(root):
        store = _store()
        store.info(root.removeprefix(SCHEME).partition("/")[0])  # a listing of no bucket would be an empty one
        found = store.find(root, detail=True)
    return {
        f"{SCHEME}{name}": each["ETag"] for name, each in found.items() if each["type"] == "file" and name[-1] != "/"
    }


def _root(url: str) -> str:
    root = url.rstrip("/")
    if len(root) <= len(SCHEME) or "//" in root.removeprefix(SCHEME):
        msg = f"{url}: expected s3://BUCKET/FOLDER"
        raise UsageError(msg)
    return root


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _ending(url: str) -> str:
    return PurePosixPath(_name(url)).suffix.lower()


@cache
def _store() -> Any:  # noqa: ANN401 (s3fs has no types)
    """Open the object storage, once a process: settings and credentials are those of the AWS tools."""
    import s3fs

    return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


@contextmanager
def _store_errors(url: str) -> Iterator[None]:
    """Turn what the storage and the libraries raise that talk to it into one line with the address.

    Raises:
        UnblurError: the block has raised any of that.
    """
    try:
        yield
    except (UnblurError, ImportError):
        raise
    except FileNotFoundError as error:
        msg = f"{url}: there is no such bucket or object"
        raise UnblurError(msg) from error
    except PermissionError as error:
        msg = f"{url}: the object storage refuses this user ({_reason(error)}); see AWS_ACCESS_KEY_ID or AWS_PROFILE"
        raise UnblurError(msg) from error
    except Exception as error:
        if "Credentials" in type(error).__name__:
            msg = f"{url}: the object storage wants a user; see AWS_ACCESS_KEY_ID or AWS_PROFILE"
            raise UnblurError(msg) from error
        msg = f"{url}: the object storage cannot be used ({_reason(error)}); see the network and AWS_ENDPOINT_URL"
        raise UnblurError(msg) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
