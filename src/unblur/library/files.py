"""`unblur.restore`: photographs from files to files, as the command restores them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unblur.config.failures import explain
from unblur.errors import UnblurError
from unblur.library.model import (
    BY_COMMAND,
    Model,
    Reference,
    Strength,
    Track,
    at_least_one,
    load,
    require_images,
    share_of,
)
from unblur.restoring.folder import VIDEOS, Making, Outcome, outstanding, plan_jobs, require_place, restore_job
from unblur.runtimes.tiles import plan_axis
from unblur.safety.inputs import pixels_of

# With what the command writes down of photographs beside these, each knows what the other has done already.
_OF_SEQUENCES = {"burst": False, "reference": None, "steady": True}


def restore(
    source: Reference | Sequence[Reference],
    target: Reference,
    model: Model | Reference | None = None,
    *,
    strength: Strength = 1.0,
    guard: bool = True,
    tile: int = 512,
    overlap: int = 64,
    batch_size: int = 1,
    compare: bool = False,
    overwrite: bool = False,
    max_megapixels: float = 250.0,
    track: Track = iter,
) -> list[Outcome]:
    """Restore photographs in files, as `unblur restore` does: metadata, colour profile and 16 bits are kept.

    What is done already, of the same photographs with the same model and options, is skipped and has no outcome;
    nothing that unblur did not write is overwritten.

    Args:
        source: a photograph, a folder of them, or several of either.
        target: the file to write, or a folder.
        model: what `load` returns or takes.
        strength: see `Model`.
        guard: see `Model`.
        tile: of all of these see `Model`.
        overlap: of tiles.
        batch_size: of tiles.
        compare: write NAME.compare.png beside each: before and after.
        overwrite: restore again what is done, and replace what unblur did not write.
        max_megapixels: larger photographs are refused; Pillow's own limit, `PIL.Image.MAX_IMAGE_PIXELS`, holds too.
        track: wraps the list of photographs, for a progress bar.

    Returns:
        An outcome a photograph: `job.target`, `seconds`, `notes`, and `error`, the line that says what went wrong.

    Raises:
        UsageError: a strength outside [0, 1], tile and overlap that do not fit together, an empty list, or a
            limit of megapixels that is no finite number above 0.
        UnblurError: there is nothing to restore, a folder cannot be listed or may not be searched, a target must not or
            cannot be written, or the only photograph has failed.
    """
    plan_axis(1, tile, overlap)
    share = share_of(strength)
    max_pixels = pixels_of(max_megapixels)
    several = isinstance(source, Sequence) and not isinstance(source, str)
    sources = [Path(each) for each in source] if several else [Path(source)]  # type: ignore[arg-type, union-attr]
    if len(sources) == 1 and sources[0].suffix.lower() in VIDEOS:
        msg = f"{sources[0]}: a video; {BY_COMMAND}"
        raise UnblurError(msg)
    with _told():
        jobs, _ = plan_jobs(sources, Path(target), into=str(target).endswith(("/", os.sep)), compare=compare)
    loaded = model if isinstance(model, Model) else load(model)
    require_images(loaded)
    options = {"tile": tile, "overlap": overlap, "strength": share, "guard": guard, **loaded.choices, **_OF_SEQUENCES}
    making = Making.by(loaded.restorer, options)
    with _told():
        jobs = outstanding(jobs, making, compare=compare, overwrite=overwrite)
        require_place(jobs)
    outcomes = [
        restore_job(
            loaded.restorer,
            job,
            tile=tile,
            overlap=overlap,
            batch_size=at_least_one(batch_size),
            compare=compare,
            max_pixels=max_pixels,
            making=making,
            strength=share,
            guard=guard,
        )
        for job in track([job for job in jobs if not job.done])
    ]
    if len(jobs) == 1 and outcomes and outcomes[0].error:
        raise UnblurError(outcomes[0].error)
    return outcomes


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the operating system refuses, such as a look into a folder, into the command's line."""
    try:
        yield
    except OSError as error:
        raise UnblurError(explain(error) or str(error)) from error
