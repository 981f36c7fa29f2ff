"""`unblur restore`: take the blur out of a photograph, a folder of them, a video or a burst."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from unblur.commands.restore_options import in_buckets, load_named, making_of, parse
from unblur.config.entry import command, tell
from unblur.errors import UnblurError, UsageError

if TYPE_CHECKING:
    from collections import Counter

    from unblur.restoring.folder import Making, Outcome
    from unblur.runtimes.restorer import Restorer


@command
def main(argv: list[str]) -> int:
    """Plan the work, load the model, restore file after file, say what went wrong."""
    options = parse(argv)
    if options.burst and len(options.sources) > 1:
        msg = f"--burst: got {len(options.sources)} folders or files; give the one folder of the shots"
        raise UsageError(msg)

    from unblur.restoring.folder import VIDEOS
    from unblur.restoring.found import UNLISTED, shown
    from unblur.runtimes.tiles import plan_axis
    from unblur.safety.inputs import pixels_of

    if options.batch < 1:
        msg = f"--batch {options.batch}: expected at least 1 tile"
        raise UsageError(msg)
    buckets = in_buckets(options)
    if options.burst or (not buckets and len(options.sources) == 1 and options.source.suffix.lower() in VIDEOS):
        if options.engine == "ray":
            msg = "--engine ray: restores photographs; leave it out for a video or a burst"
            raise UsageError(msg)
        plan_axis(1, options.tile, options.overlap)
        from unblur.commands.restore_sequence import restore_burst_command, restore_video_command

        return (restore_burst_command if options.burst else restore_video_command)(options)

    from unblur.console import console

    plan_axis(1, options.tile, options.overlap)  # refuses sizes that do not fit before anything is loaded
    max_pixels = pixels_of(options.max_megapixels)
    jobs, left_out = _plan(options)

    from PIL import Image

    Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow's own limit, below that of today's telephones
    restorer = load_named(options)
    if restorer.task != "image":
        hint = "give a video" if restorer.task == "video" else "add --burst"
        msg = f"{restorer.name}: restores {restorer.task}s, not single photographs; {hint}, or choose another --model"
        raise UnblurError(msg)
    making = making_of(options, restorer)
    jobs = _outstanding(options, jobs, making)
    todo = [job for job in jobs if not job.done]
    if left_out:
        console.print(f"left out: {shown(left_out)}", highlight=False, markup=False, soft_wrap=True)
    if not todo:
        console.print(f"nothing to do: {len(jobs)} done already (--overwrite does them again)", highlight=False)
        return 1 if left_out[UNLISTED] else 0
    work = {
        "tile": options.tile,
        "overlap": options.overlap,
        "batch_size": options.batch,
        "compare": options.compare,
        "max_pixels": max_pixels,
        "making": making,
        "strength": options.strength,
        "guard": options.guard,
    }
    start = time.perf_counter()
    outcomes = []
    with _engine(options, restorer, todo, work, single=len(jobs) == 1) as restored:
        for outcome in restored:
            outcomes.append(outcome)
            if outcome.error:
                tell("error", outcome.error)
            for note in outcome.notes:
                tell("note", f"{outcome.job.source}: {note}")
    _report(outcomes, len(jobs) - len(todo), restorer.name, time.perf_counter() - start, options)
    return 1 if left_out[UNLISTED] or any(outcome.error for outcome in outcomes) else 0


def _plan(options: argparse.Namespace) -> "tuple[Any, Counter[str]]":
    """List what there is to do, in folders or in a bucket, and count by kind what is left out."""
    if in_buckets(options):
        from unblur.library.buckets import plan_objects

        return plan_objects(options.source, options.target, options.compare)
    from unblur.restoring.folder import plan_jobs

    return plan_jobs(
        options.sources, options.target, options.into, options.compare, unlisted=lambda line: tell("error", line)
    )


def _outstanding(options: argparse.Namespace, jobs: Any, making: "Making") -> Any:  # noqa: ANN401 (see `_plan`)
    """Mark what is done already, and try the place to write the rest to."""
    again = {"compare": options.compare, "overwrite": options.overwrite}
    if in_buckets(options):
        from unblur.library.buckets import outstanding_objects

        return outstanding_objects(jobs, making, options.target, **again)
    from unblur.restoring.folder import outstanding, require_place

    marked = outstanding(jobs, making, **again)
    require_place(marked)
    return marked


@contextmanager
def _engine(
    options: argparse.Namespace, restorer: "Restorer", todo: "list[Any]", work: dict[str, Any], *, single: bool
) -> "Iterator[Iterable[Outcome]]":
    """Give the outcomes as they come, of this process or of Ray's, with a progress bar."""
    from rich.markup import escape

    from unblur.console import tracker

    if options.engine == "ray":
        from unblur.library.on_ray import Loading, cluster, restore_on_ray, sharing

        with cluster(options.ray_address):
            workers, threads = sharing(options.ray_workers, options.threads)
            choices = {name: getattr(options, name) for name in ("runtime", "precision", "device")}
            loading = Loading(options.model, restorer.sha256, {**choices, "threads": threads})
            yield tracker("photographs", len(todo))(restore_on_ray(todo, loading, work, workers=workers))
        return
    restore: Callable[..., Outcome]
    if in_buckets(options):
        from unblur.library.buckets import restore_object as restore
    else:
        from unblur.restoring.folder import restore_job as restore

    if single:
        over_tiles = tracker(escape(str(todo[0].source).rpartition("/")[2]))
        yield (restore(restorer, job, track=over_tiles, **work) for job in todo)
    else:
        yield (restore(restorer, job, **work) for job in tracker("photographs")(todo))


def _report(outcomes: "list[Outcome]", skipped: int, model: str, seconds: float, options: argparse.Namespace) -> None:
    """Show the figures of the whole run, and what to do next."""
    from rich.markup import escape

    from unblur.console import show_table, what_next
    from unblur.restoring.folder import comparison_path
    from unblur.restoring.found import COMPARISON

    restored = [outcome for outcome in outcomes if outcome.error is None]
    megapixels = sum(outcome.megapixels for outcome in restored)
    rows = [
        ["restored", str(len(restored))],
        ["done already", str(skipped)],
        ["failed", str(len(outcomes) - len(restored))],
        ["megapixels", f"{megapixels:.1f}"],
        ["seconds", f"{seconds:.1f}"],
        ["megapixels/s", f"{megapixels / seconds:.2f}"],
    ]
    show_table(f"restored with {escape(model)}", ["", "value"], rows)
    if not restored:
        what_next("see the lines above: each names a file and how to mend it")
    elif options.compare:
        target = restored[0].job.target
        beside = f"{target}{COMPARISON}" if in_buckets(options) else comparison_path(target)
        what_next(f"look at {escape(str(beside))}: before and after, side by side")
    else:
        what_next(
            f"open {escape(str(options.target))}", "add --compare --overwrite to see before and after side by side"
        )


if __name__ == "__main__":
    main()
