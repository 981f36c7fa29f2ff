"""`unblur data average`: blurred and sharp pairs out of high-frame-rate videos."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.blur.frame_averaging import Gamma


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add it to the commands of `unblur data`."""
    about = "average the frames of high-frame-rate videos to blurred pictures; the middle frame is the truth"
    parser = commands.add_parser("average", help=about, description=about)
    parser.add_argument("source", type=Path, nargs="+", metavar="VIDEO_OR_FOLDER", help="videos, or folders of them")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder: pairs as PNG, and manifest.csv")
    parser.add_argument("--frames", type=int, default=11, help="frames of an exposure, an odd number (%(default)s)")
    about_gamma = "1.0: mean of sRGB values, as GoPro's blur; 2.2: as its blur_gamma; srgb: linear light (%(default)s)"
    parser.add_argument("--gamma", type=gamma, default=2.2, help=about_gamma)
    steps = "steps from frame to frame, filled in by optical flow; 1 fills in none (%(default)s)"
    parser.add_argument("--interpolate", type=int, default=1, metavar="STEPS", help=steps)
    parser.add_argument("--stride", type=int, help="frames from one exposure to the next (as many as it has)")
    parser.add_argument("--split", default="train", help="train, val or test, of all that is not named (%(default)s)")
    for split in ("val", "test"):
        words = f"a video for {split}, by its name; may be given several times"
        parser.add_argument(f"--{split}", action="append", default=[], metavar="VIDEO", help=words)
    parser.add_argument("--overwrite", action="store_true", help="write into OUT, whoever made what is in it")
    parser.set_defaults(build=average)


def average(options: argparse.Namespace) -> None:
    """Average, and say what came out; damaged videos are named at the end."""
    from collections import Counter

    from rich.markup import escape

    from unblur.blur.frame_averaging import FrameAveraging
    from unblur.console import console, show_table, tracker, what_next
    from unblur.ingest.averaging import average_videos, common_folder

    averaged = average_videos(
        options.source,
        options.out,
        FrameAveraging(options.frames, options.gamma, options.interpolate),
        stride=options.frames if options.stride is None else options.stride,
        split=options.split,
        splits=_splits(options),
        overwrite=options.overwrite,
        track=tracker("averaging"),
    )
    rows = averaged.rows
    if rows:
        counts = Counter(row.source for row in rows)
        lengths = {name: sorted(row.strength for row in rows if row.source == name) for name in counts}
        splits = {row.source: row.split for row in rows}
        shots = {name: len({row.parameters["shot"] for row in rows if row.source == name}) for name in counts}
        show_table(
            f"pairs in {escape(str(options.out))}",
            ["video", "split", "shots", "pairs", "blur in px, least", "median", "most"],
            [
                [
                    escape(name),
                    escape(splits[name]),
                    str(shots[name]),
                    str(count),
                    *(f"{lengths[name][at]:.1f}" for at in (0, count // 2, -1)),
                ]
                for name, count in counts.items()
            ],
        )
    for name in averaged.too_short:
        console.print(f"no pair: {name} has no shot of {options.frames} frames", markup=False, soft_wrap=True)
    for failure in averaged.failures:
        console.print(f"failed: {failure}", markup=False, highlight=False, soft_wrap=True)
    if averaged.failures:
        msg = f"{len(averaged.failures)} videos are damaged, listed above; {options.out} has {len(rows)} pairs"
        raise UnblurError(msg)
    if not rows:
        named = ", ".join(map(str, options.source))
        msg = f"{named}: no shot has {options.frames} frames; give fewer with --frames"
        raise UnblurError(msg)
    manifest, videos = (escape(str(path)) for path in (options.out / "manifest.csv", common_folder(options.source)))
    what_next(
        f"unblur data explain {manifest} 0 --root {videos}",
        f"unblur data import averaged {escape(str(options.out))}     to train on them",
    )


def _splits(options: argparse.Namespace) -> dict[str, str]:
    both = sorted({*options.val} & {*options.test})
    if both:
        msg = f"--val {both[0]} --test {both[0]}: a video is in one split; name it once"
        raise UnblurError(msg)
    return {name: split for split in ("val", "test") for name in getattr(options, split)}


def gamma(text: str) -> "Gamma":
    """Return the gamma that a word of the command line means."""
    return "srgb" if text == "srgb" else float(text)
