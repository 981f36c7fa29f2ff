"""`unblur restore` for a video, and for a burst."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.commands.restore_options import load_named, making_of
from unblur.config.entry import tell
from unblur.errors import UnblurError, UsageError

if TYPE_CHECKING:
    from unblur.runtimes.restorer import Restorer
    from unblur.safety.written import Made

THERE = "nothing to do: it is there already (--overwrite does it again)"


def restore_video_command(options: argparse.Namespace) -> int:
    """Restore a video with a progress bar; say which frames could not be read."""
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from unblur.console import console, show_table, what_next
    from unblur.restoring.video import check_video_target, restore_video
    from unblur.safety.videos import check_video_header
    from unblur.safety.written import recorded

    if options.strength is None:
        msg = "--strength auto looks at single photographs; give a number from 0 to 1 for a video"
        raise UsageError(msg)
    header = check_video_header(options.source)
    check_video_target(options.source, options.target)
    restorer = load_named(options)
    if restorer.task == "burst":
        msg = f"{restorer.name}: restores bursts, not videos; choose a model for images or video with --model"
        raise UnblurError(msg)
    target, made = _outstanding(options, restorer, [options.source])
    if made is None:
        console.print(THERE, highlight=False)
        return 0
    start = time.perf_counter()
    bar = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("eta"), TimeRemainingColumn())
    with recorded(target, made), Progress(TextColumn("{task.description}"), *bar, console=console) as progress:
        task = progress.add_task(escape(options.source.name), total=header.frames or None)
        done = restore_video(
            restorer,
            options.source,
            target,
            tile=options.tile,
            overlap=options.overlap,
            track=lambda frames: progress.update(task, completed=frames),
            strength=options.strength,
            guard=options.guard,
            steady=options.steady,
        )
        progress.update(task, total=done.frames)
    seconds = time.perf_counter() - start
    for note in done.notes:
        tell("note", f"{options.source}: {note}")
    for fault in done.faults:
        tell("error", f"{options.source}: {fault}")
    rows = [
        ["frames", str(done.frames)],
        ["left out", str(len(done.broken))],
        ["guarded", str(len(done.guarded))],
        ["seconds", f"{seconds:.1f}"],
        ["frames/s", f"{done.frames / seconds:.2f}"],
    ]
    if done.flicker is not None:
        rows.append(["flicker: input, model, output", " ".join(f"{each:.2f}" for each in done.flicker)])
    show_table(f"restored with {escape(restorer.name)}", ["", "value"], rows)
    what_next(f"play {escape(str(options.target))}")
    return 1 if done.faults else 0


def restore_burst_command(options: argparse.Namespace) -> int:
    """Restore the reference of a folder of shots; shots that cannot be used are named and left out."""
    import numpy as np
    from rich.markup import escape

    from unblur.console import console, show_table, tracker, what_next
    from unblur.restoring.answer import finish
    from unblur.restoring.burst import check_burst_target, find_shots, read_burst, restore_burst
    from unblur.restoring.photo import check_target
    from unblur.runtimes.guard import Broken
    from unblur.safety.inputs import pixels_of
    from unblur.safety.written import recorded

    check_burst_target(options.source, options.target)
    burst = read_burst(options.source, options.reference, pixels_of(options.max_megapixels))
    restorer = load_named(options)
    if restorer.task != "burst":
        msg = f"{restorer.name}: restores {restorer.task}s, not bursts; choose a burst model with --model"
        raise UnblurError(msg)
    target, made = _outstanding(options, restorer, find_shots(options.source))
    if made is None:
        console.print(THERE, highlight=False)
        return 0
    notes = (*burst.photo.notes, *check_target(burst.photo, target))
    for fault in burst.faults:
        tell("error", str(fault))
    start = time.perf_counter()
    shots = np.stack(burst.shots)
    broken: list[Broken] | None = [] if options.guard else None
    restored = restore_burst(
        restorer, shots, options.tile, options.overlap, tracker(escape(options.source.name)), broken=broken
    )
    answer = finish(shots[0], restored, broken, options.strength)
    for note in (*notes, *answer.notes):
        tell("note", f"{burst.reference}: {note}")
    with recorded(target, made):
        burst.write(answer.pixels, target)
    rows = [
        ["shots", str(len(burst.shots))],
        ["left out", str(len(burst.faults))],
        ["reference", escape(burst.reference.name)],
        ["seconds", f"{time.perf_counter() - start:.1f}"],
    ]
    show_table(f"restored with {escape(restorer.name)}", ["", "value"], rows)
    what_next(f"open {escape(str(options.target))}")
    return 1 if burst.faults else 0


def _outstanding(
    options: argparse.Namespace, restorer: "Restorer", sources: Sequence[Path]
) -> "tuple[Path, Made | None]":
    """Return the file to write, at the end of links, and what it is made of; None where that is there already.

    Raises:
        UnblurError: a file is there that unblur did not write, or that was changed since.
    """
    from unblur.safety.paths import real_path
    from unblur.safety.written import state

    target: Path = real_path(options.target) if options.target.is_symlink() else options.target
    made = making_of(options, restorer).of(*sources)
    found = "new" if options.overwrite else state(target, made)
    if found == "foreign":
        msg = (
            f"{options.target}: is there already, and unblur did not write it or it was changed since; "
            "give another name, or --overwrite"
        )
        raise UnblurError(msg)
    return target, None if found == "done" else made
