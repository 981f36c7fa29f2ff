"""Restores a photograph or a whole folder of them: what there is to do, what is done already, what went wrong."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError, UsageError
from unblur.restoring.compare import write_comparison
from unblur.restoring.photo import FORMATS, check_target, eight_bit, read_photo, write_photo
from unblur.restoring.tiles import restore_tiled

COMPARISON = ".compare.png"


@dataclass(frozen=True)
class Job:
    """A photograph, where its restored version goes, and whether that is there and newer than the photograph."""

    source: Path
    target: Path
    done: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a job ended: seconds and megapixels, what could not be kept, or the line that says what went wrong."""

    job: Job
    seconds: float
    megapixels: float = 0.0
    notes: tuple[str, ...] = ()
    error: str | None = None


def plan_jobs(source: Path, target: Path, overwrite: bool = False) -> list[Job]:
    """List what `restore source target` has to do.

    A file goes to the file `target`, or into it if it is a folder or has no suffix. A folder's photographs (JPEG, PNG,
    WebP, TIFF; hidden files left out) keep their names and tree.

    Raises:
        UsageError: the target is the source, has an unknown suffix, or is a file where a folder is needed.
        UnblurError: there is no such file or folder, or the folder has no photographs.
    """
    if not source.exists():
        msg = f"{source}: there is no such file or folder"
        raise UnblurError(msg)
    if source.is_file():
        if target.is_dir() or not target.suffix:
            target = target / source.name
        if target.suffix.lower() not in FORMATS:
            msg = f"{target}: {target.suffix} is no format that can be written; expected {', '.join(FORMATS)}"
            raise UsageError(msg)
        pairs = [(source, target)]
    else:
        if target.is_file():
            msg = f"{target}: is a file, but {source} is a folder; give a folder to write to"
            raise UsageError(msg)
        found = find_photos(source, leave_out=target)
        if not found:
            msg = f"{source}: the folder has no photographs; expected {', '.join(FORMATS)}"
            raise UnblurError(msg)
        pairs = [(path, target / path.relative_to(source)) for path in found]
    for path, written in pairs:
        if written.exists() and written.samefile(path):
            msg = f"{written}: would overwrite the photograph itself; give another place to write to"
            raise UsageError(msg)
    return [Job(path, written, done=not overwrite and _is_newer(written, path)) for path, written in pairs]


def find_photos(folder: Path, leave_out: Path | None = None) -> list[Path]:
    """Return the photographs below a folder by their suffix, sorted.

    Hidden files and folders, before/after pictures and what lies in `leave_out` are left out.
    """
    without = leave_out.resolve() if leave_out is not None and leave_out.resolve() != folder.resolve() else None
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in FORMATS
        and not path.name.endswith(COMPARISON)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (without is None or not path.resolve().is_relative_to(without))
        and path.is_file()
    )


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
) -> Outcome:
    """Restore one photograph. What is wrong with it, or with the place to write to, comes back as the outcome's error.

    Args:
        restorer: see `unblur.restoring.restorer.Restorer`.
        job: from `plan_jobs`.
        tile: see `restore_tiled`.
        overlap: see `restore_tiled`.
        batch_size: see `restore_tiled`.
        compare: write `NAME.compare.png` beside the target as well.
        track: wraps the tiles, for a progress bar.
        max_pixels: most pixels that are decoded.

    Raises:
        UsageError: `tile` and `overlap` do not fit together, which is no single photograph's fault.
    """
    start = time.perf_counter()
    try:
        photo = read_photo(job.source, max_pixels)
        notes = (*photo.notes, *check_target(photo, job.target))
        megapixels = photo.pixels.shape[0] * photo.pixels.shape[1] / 1e6
        before = eight_bit(photo.pixels) if compare else None
        pixels = restore_tiled(restorer, photo.pixels, tile, overlap, track, batch_size=batch_size)
        photo = replace(photo, pixels=pixels)
        write_photo(photo, job.target)
        if before is not None:
            write_comparison(before, eight_bit(photo.pixels), comparison_path(job.target))
    except UsageError:
        raise
    except UnblurError as error:
        line = str(error)
        named = line if line.startswith((str(job.source), str(job.target))) else f"{job.source}: {line}"
        return Outcome(job, time.perf_counter() - start, error=named)
    except MemoryError:
        return Outcome(job, time.perf_counter() - start, error=f"{job.source}: not enough memory; try a smaller --tile")
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        return Outcome(job, time.perf_counter() - start, error=f"{job.target}: cannot be written ({reason})")
    return Outcome(job, time.perf_counter() - start, megapixels, notes)


def comparison_path(target: Path) -> Path:
    """Return where the before/after picture of a target goes: `photo.jpg` -> `photo.jpg.compare.png`."""
    return target.with_name(target.name + COMPARISON)


def _is_newer(written: Path, path: Path) -> bool:
    return written.is_file() and written.stat().st_mtime >= path.stat().st_mtime
