"""Restores a photograph or a whole folder of them: what there is to do, what is done already, what went wrong."""

import errno
import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.config.failures import explain
from unblur.errors import BrokenModelError, UnblurError, UsageError
from unblur.images.channels import eight_bit
from unblur.images.header import check_image_header
from unblur.images.photo import Photo, read_photo
from unblur.restoring.answer import Answer, Pixels, restore_pixels
from unblur.restoring.compare import write_comparison
from unblur.restoring.found import COMPARISON, ending, find_photos, shown
from unblur.restoring.photo import FORMATS, check_target, not_written, output_format, write_photo
from unblur.runtimes.reduced import ReducedRestorer
from unblur.runtimes.restorer import Restorer
from unblur.safety.atomic import replacing, require_writable
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import folded, folds_names, real_path
from unblur.safety.written import Made, read_lines, recorded, state

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts")
LONGEST_NAME = 255  # bytes
# What the system says of the machine. Parsers of damaged files raise OSError too, but without these numbers.
_OF_MACHINE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EMFILE, errno.ENFILE),
    *(errno.ENOENT, errno.EACCES, errno.EPERM),
}


@dataclass(frozen=True)
class Job:
    """A photograph, where its restored version goes, and whether that is there already."""

    source: Path
    target: Path
    done: bool = False


@dataclass(frozen=True)
class Making:
    """What decides restored pixels beside the photograph: the model's SHA-256, and the options as plain values."""

    model_sha256: str
    options: Mapping[str, Any]

    @classmethod
    def by(cls, restorer: Restorer, options: Mapping[str, Any]) -> "Making":
        """Return what a restorer makes with these options; one file at two resolutions makes two things."""
        reduction = {"reduction": restorer.reduction} if isinstance(restorer, ReducedRestorer) else {}
        return cls(restorer.sha256, {**options, **reduction})

    def of(self, *sources: Path) -> Made:
        """Return what is made of a file, or of several together."""
        digests = [sha256_file(source) for source in sources]
        whole = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
        return Made(whole, self.model_sha256, self.options)


@dataclass(frozen=True)
class Outcome:
    """How a job ended: seconds and megapixels, what could not be kept, or the line that says what went wrong.

    `job` is a `Job`, or one of a bucket (`unblur.library.buckets`); `of_machine` says that memory or disk failed, and
    not the photograph.
    """

    job: Any
    seconds: float
    megapixels: float = 0.0
    notes: tuple[str, ...] = ()
    error: str | None = None
    of_machine: bool = False


def plan_jobs(
    sources: Sequence[Path],
    target: Path,
    into: bool = False,
    compare: bool = False,
    unlisted: Callable[[str], None] | None = None,
) -> tuple[list[Job], Counter[str]]:
    """List what `restore sources target` has to do, and count by kind what is left out.

    A single file goes to the file `target`, or into it if it is a folder, `into` says so, or its name has no ending of
    a file. Several files go into the folder `target`. A folder's photographs (JPEG, PNG, WebP, TIFF; hidden files left
    out) keep their names and tree. A link is followed: what it leads to is written. With `compare`, pictures of before
    and after are written too. For `unlisted` see `find_photos`.

    Raises:
        UsageError: there are no sources, or a target is one of them, has an unknown suffix, or is a file where a folder
            is needed.
        UnblurError: there is no such file or folder, there are no photographs, or two would get one name; a folder
            cannot be listed, and `unlisted` is None.
    """
    _require_sources(sources)
    pairs: list[tuple[Path, Path]] = []
    left_out: Counter[str] = Counter()
    if len(sources) == 1 and sources[0].is_file():
        if target.is_dir() or into or not target.suffix or target.suffix[1:].isdigit():
            target = target / sources[0].name
        if target.suffix.lower() not in FORMATS:
            raise UsageError(not_written(target))
        pairs = [(sources[0], target)]
    else:
        _require_folder(sources, target, into)
        for source in sources:
            if source.is_dir():
                found, without = find_photos(source, leave_out=target, unlisted=unlisted)
                pairs += [(path, target / path.relative_to(source)) for path in found]
                left_out += without
            elif source.suffix.lower() in FORMATS:
                pairs.append((source, target / source.name))
            else:
                left_out[ending(source)] += 1
        if not pairs:
            what = "the folder has" if len(sources) == 1 else f"{len(sources)} files have"
            there = f", and there are only {shown(left_out)}" if left_out else ""
            msg = f"{sources[0]}: {what} no photographs; expected {', '.join(FORMATS)}{there}"
            raise UnblurError(msg)
    jobs = [
        Job(source, real_path(written) if written.is_symlink() else written) for source, written in dict.fromkeys(pairs)
    ]
    _refuse_clashes(jobs, compare)
    return jobs, left_out


def outstanding(jobs: Sequence[Job], making: Making, *, compare: bool = False, overwrite: bool = False) -> list[Job]:
    """Return the jobs, those marked as done whose target was made of the same photograph, model and options.

    Raises:
        UnblurError: a target is there that unblur did not write, or that was changed since, and `overwrite` is False.
    """
    if overwrite:
        return list(jobs)
    lines = {folder: _by_name(read_lines(folder)) for folder in {job.target.parent for job in jobs}}
    foreign, marked = [], []
    for job in jobs:
        targets = [job.target, comparison_path(job.target)] if compare else [job.target]
        there = [path for path in targets if path.exists()]
        try:
            made = making.of(job.source) if there else None
        except OSError:  # of which `restore_job` tells, while the others are restored
            marked.append(job)
            continue
        states = {path: state(path, made, lines[path.parent].get(path.name, [])) for path in there if made}
        foreign += [path for path, found in states.items() if found == "foreign"]
        marked.append(replace(job, done=len(there) == len(targets) and set(states.values()) == {"done"}))
    if foreign:
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        msg = (
            f"{foreign[0]}{more}: is there already, and unblur did not write it or it was changed since; "
            "give another place to write to, or --overwrite"
        )
        raise UnblurError(msg)
    return marked


def require_place(jobs: Sequence[Job]) -> None:
    """Write into the uppermost folder that gets photographs, before any is computed, and make it if it is missing.

    Raises:
        UnblurError: the disk is full, read-only or somebody else's, or a file is in the way.
    """
    folders = {job.target.parent for job in jobs if not job.done}
    for folder in sorted(folders, key=lambda each: len(each.parts))[:1]:
        try:
            require_writable(folder)
        except OSError as error:
            raise UnblurError(explain(error) or f"{folder}: cannot be written ({error})") from error


def _by_name(lines: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sort a folder's lines by file: a folder of an archive has too many to go through them for each."""
    sorted_: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        sorted_.setdefault(line["file"], []).append(line)
    return sorted_


def _require_sources(sources: Sequence[Path]) -> None:
    if not sources:
        msg = "no photographs are given; name a photograph or a folder"
        raise UsageError(msg)
    for source in sources:
        if not source.exists():
            msg = f"{source}: there is no such file or folder"
            raise UnblurError(msg)
        if not (source.is_file() or source.is_dir()):
            msg = f"{source}: is neither a file nor a folder; give one that can be read more than once"
            raise UnblurError(msg)


def _require_folder(sources: Sequence[Path], target: Path, into: bool) -> None:
    what = f"{sources[0]} is a folder" if len(sources) == 1 else f"{len(sources)} files or folders are given before it"
    if target.is_file():
        msg = f"{target}: is a file, but {what}; name a folder to write to at the end"
        raise UsageError(msg)
    if len(sources) > 1 and not target.exists() and not into and target.suffix.lower() in FORMATS:
        msg = f"{target}: names a photograph, but {what}; name a folder to write to at the end"
        raise UsageError(msg)


def _refuse_clashes(jobs: Sequence[Job], compare: bool) -> None:
    """Refuse to write onto one of the photographs, or two pictures onto one; before/after pictures count too."""
    originals = {(status.st_dev, status.st_ino) for status in (job.source.stat() for job in jobs)}
    written = [(job.target, job.source) for job in jobs]
    written += [(comparison_path(job.target), job.source) for job in jobs] if compare else []
    owner: dict[Path, tuple[Path, Path]] = {}
    alike = Counter(folded(target) for target, _ in written)
    for target, source in written:
        if target.exists() and ((status := target.stat()).st_dev, status.st_ino) in originals:
            msg = f"{target}: would overwrite the photograph itself; give another place to write to"
            raise UsageError(msg)
        place = real_path(target)
        if alike[folded(target)] > 1 and folds_names(place.parent):
            place = folded(place)
        other, taken = owner.setdefault(place, (source, target))
        if (other, taken) != (source, target):
            same = "" if taken == target else f", the same file as {taken} there"
            msg = f"{other} and {source} would both be written to {target}{same}; rename one, or restore them apart"
            raise UnblurError(msg)


def restore_job(
    restorer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    job: Job,
    *,
    tile: int = 512,
    overlap: int = 64,
    batch_size: int = 1,
    compare: bool = False,
    track: Callable[[Sequence[Any]], Iterable[Any]] = lambda steps: steps,
    max_pixels: int = 250_000_000,
    making: Making | None = None,
    strength: float | None = 1.0,
    guard: bool = True,
    observe: Callable[[Pixels, Answer], None] | None = None,
    record: Callable[[Path, Made], AbstractContextManager[None]] = recorded,
) -> Outcome:
    """Restore one photograph. What is wrong with it, or with the place to write to, comes back as the outcome's error.

    Args:
        restorer: see `unblur.runtimes.restorer.Restorer`.
        job: from `plan_jobs`.
        tile: see `restore_tiled`.
        overlap: see `restore_tiled`.
        batch_size: see `restore_tiled`.
        compare: write `NAME.compare.png` beside the target as well.
        track: wraps the tiles, for a progress bar.
        max_pixels: most pixels that are decoded.
        making: is written down beside the target, for `outstanding`; None writes nothing down.
        strength: see `unblur.restoring.strength.blend`; None decides by region, and copies the file where nothing is
            to gain and its format is that of the target.
        guard: put back what no answer may do (`unblur.runtimes.guard`), and note it.
        observe: is called with the photograph's pixels and the answer to them, before that is written.
        record: writes down what a file is made of, around its writing.

    Raises:
        UsageError: `tile` and `overlap` do not fit together, which is no single photograph's fault.
        BrokenModelError: the model cannot be run with any photograph.
    """
    start = time.perf_counter()
    try:
        made, photo = _read(job.source, making, max_pixels)
        notes = (*photo.notes, *check_target(photo, job.target))
        megapixels = photo.pixels.shape[0] * photo.pixels.shape[1] / 1e6
        before = eight_bit(photo.pixels) if compare else None
        answer = restore_pixels(
            restorer,
            photo.pixels,
            tile=tile,
            overlap=overlap,
            batch_size=batch_size,
            track=track,
            strength=strength,
            guard=guard,
        )
        if observe is not None:
            observe(photo.pixels, answer)
        photo, notes = replace(photo, pixels=answer.pixels), (*notes, *answer.notes)
        with record(job.target, made) if made else nullcontext():
            if not answer.changed and check_image_header(job.source, max_pixels).format == output_format(job.target):
                notes = answer.notes  # a copy loses nothing
                with replacing(job.target) as unfinished:
                    shutil.copyfile(job.source, unfinished)
            else:
                write_photo(photo, job.target)
        if before is not None:
            beside = comparison_path(job.target)
            with record(beside, made) if made else nullcontext():
                write_comparison(before, eight_bit(photo.pixels), beside)
    except (UsageError, BrokenModelError):
        raise
    except UnblurError as error:
        line = str(error)
        named = line if line.startswith((str(job.source), str(job.target))) else f"{job.source}: {line}"
        return Outcome(job, time.perf_counter() - start, error=named, of_machine=of_machine(error))
    except MemoryError:
        line = f"{job.source}: not enough memory; try a smaller --tile"
        return Outcome(job, time.perf_counter() - start, error=line, of_machine=True)
    except OSError as error:
        line = f"{job.target}: cannot be written ({error.strerror or ' '.join(str(error).split())})"
        return Outcome(job, time.perf_counter() - start, error=line, of_machine=of_machine(error))
    return Outcome(job, time.perf_counter() - start, megapixels, notes)


def of_machine(error: BaseException) -> bool:
    """Say whether an error, or what it was raised from, is the system's word of a disk or of files that are open."""
    return any(isinstance(each, OSError) and each.errno in _OF_MACHINE for each in (error, error.__cause__))


def _read(source: Path, making: Making | None, max_pixels: int) -> tuple[Made | None, Photo]:
    """Return what a photograph's answer is made of, and the photograph.

    Raises:
        UnblurError: see `read_photo`; or the file cannot be read.
    """
    try:
        return making.of(source) if making else None, read_photo(source, max_pixels)
    except PermissionError as error:
        msg = f"{source}: no permission to read it; change its owner or mode"
        raise UnblurError(msg) from error
    except OSError as error:
        msg = f"{source}: cannot be read ({error.strerror or error}); see the disk that it lies on"
        raise UnblurError(msg) from error


def comparison_path(target: Path) -> Path:
    """Return where the before/after picture of a target goes: `photo.jpg` -> `photo.jpg.compare.png`.

    A name that would become longer than file systems take is replaced by its hash.
    """
    name = target.name.encode()
    stem = target.name if len(name) + len(COMPARISON) <= LONGEST_NAME else hashlib.sha256(name).hexdigest()[:16]
    return target.with_name(stem + COMPARISON)
