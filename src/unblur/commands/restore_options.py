"""The options of `unblur restore`, and what follows from them: the model, and what decides the pixels."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import tell
from unblur.errors import UsageError

if TYPE_CHECKING:
    from unblur.restoring.folder import Making
    from unblur.runtimes.restorer import Restorer

DESCRIPTION = """Take the blur out of a photograph, or of every photograph (JPEG, PNG, WebP, TIFF) in a folder.
Names, tree, EXIF, colour profile, transparency and 16 bits are kept; EXIF orientation is baked into the pixels.
What is done already, of the same photograph with the same model and options, is skipped; nothing that unblur did not
write is overwritten. Both IN and OUT may be s3://BUCKET/FOLDER. Of a video, frame times, sound, rotation and colour
tags are kept. With --burst, IN is a folder of shots of one scene. Exit code 1 if any file, folder or frame failed."""

RUNTIME = "default: what `unblur benchmark` measured fastest here, else OpenVINO if installed; torch for its own files"
PRECISION = "of what is not quantized (default: bf16 where the processor has it; give f32 for 16-bit photographs)"

STRENGTH = (
    "share of the restoration, 0 to 1 (default: 1), or auto: what is sharp already and intended bokeh stay, and a file "
    "with nothing to gain is copied as it is, with its EXIF orientation"
)
STEADY = "let a video flicker as an image model makes it; default: where the picture stands still, no more than it did"

ENGINE = "ray: by processes on one machine or many, for archives (needs unblur[ray]); default: by this process alone"

# Options that leave the pixels as they are.
SAME_PIXELS = {
    *("source", "sources", "target", "into", "model", "fast"),
    *("batch", "threads", "max_megapixels", "overwrite", "compare"),
    *("engine", "ray_address", "ray_workers"),
}


def load_named(options: argparse.Namespace) -> "Restorer":
    """Load the model that the options name, and say so where none is named and there is no champion."""
    from unblur.models.catalogue import BOX, CHAMPION
    from unblur.models.loading import load_chosen

    restorer = load_chosen(
        options.model, options.threads, runtime=options.runtime, precision=options.precision, device=options.device
    )
    if options.model is None and restorer.name == BOX:
        tell("note", f"no {CHAMPION}: {BOX} is taken, the model that comes with unblur")
    return restorer


def making_of(options: argparse.Namespace, restorer: "Restorer") -> "Making":
    """Return what decides the pixels: the model, and all options but those that do not change them."""
    from unblur.restoring.folder import Making

    return Making.by(restorer, {name: value for name, value in vars(options).items() if name not in SAME_PIXELS})


def _model(options: argparse.Namespace) -> str | None:
    """Return the model that the options name, if any."""
    from unblur.models.catalogue import FAST

    if options.fast and options.model is not None:
        msg = f"--fast takes {FAST}, and --model {options.model} another model; give one of them"
        raise UsageError(msg)
    return FAST if options.fast else options.model


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the options, as the command line gives them; wrong ones end the command with exit code 2."""
    from unblur.models.catalogue import BOX, CHAMPION, FAST

    parser = argparse.ArgumentParser(prog="unblur restore", description=DESCRIPTION)
    about = "photographs, folders of them, or a video"
    parser.add_argument("sources", type=_place, nargs="+", metavar="IN", help=about)
    parser.add_argument("target", metavar="OUT", help="the file or folder to write, of several IN a folder; never IN")
    parser.add_argument(
        "--model",
        help="a name that `unblur models` lists, an .onnx, .xml or .pt2 file, a folder with model.safetensors, or "
        f"models:/NAME@ALIAS (default: {CHAMPION}, else {BOX})",
    )
    parser.add_argument("--fast", action="store_true", help=f"with {FAST}, the quick model that comes with unblur")
    parser.add_argument("--tile", type=int, default=512, help="largest side of a tile in pixels (default: %(default)s)")
    parser.add_argument("--overlap", type=int, default=64, help="overlap of tiles in pixels (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="tiles that go through together; more suit a GPU")
    parser.add_argument("--runtime", default="auto", choices=("auto", "onnxruntime", "openvino", "torch"), help=RUNTIME)
    parser.add_argument("--precision", default="auto", choices=("auto", "f32", "bf16"), help=PRECISION)
    parser.add_argument("--device", choices=("cpu", "cuda", "tensorrt"), help="default: a GPU where there is one")
    parser.add_argument("--threads", type=int, help="threads of the runtime (default: its own choice)")
    parser.add_argument("--max-megapixels", type=float, default=250.0, help="refuse larger photographs (default: 250)")
    parser.add_argument(
        "--overwrite", action="store_true", help="restore again what is done, and replace what unblur did not write"
    )
    parser.add_argument("--burst", action="store_true", help="IN is a folder of shots of one scene, OUT a photograph")
    parser.add_argument("--reference", help="name of the shot that a burst is aligned to (default: the first by name)")
    parser.add_argument("--strength", type=_strength, default=1.0, metavar="S", help=STRENGTH)
    parser.add_argument(
        "--no-guard", dest="guard", action="store_false", help="write what the model answers, unchecked"
    )
    parser.add_argument("--no-steady", dest="steady", action="store_false", help=STEADY)
    parser.add_argument("--compare", action="store_true", help="write NAME.compare.png beside it: before and after")
    parser.add_argument("--engine", default="local", choices=("local", "ray"), help=ENGINE)
    parser.add_argument(
        "--ray-address", metavar="HOST:PORT", help="of a running cluster (default: Ray is started here)"
    )
    parser.add_argument("--ray-workers", type=int, metavar="N", help="processes (default: one for four processors)")
    options = parser.parse_args(argv)
    if options.engine == "local" and (options.ray_address or options.ray_workers):
        parser.error("--ray-address and --ray-workers go with --engine ray")
    if options.ray_workers is not None and options.ray_workers < 1:
        parser.error(f"--ray-workers {options.ray_workers}: expected at least 1")
    options.into = options.target.endswith(("/", os.sep))
    try:
        options.target = _place(options.target)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    options.source, options.model = options.sources[0], _model(options)
    return options


def in_buckets(options: argparse.Namespace) -> bool:
    """Tell whether IN and OUT are in a bucket.

    Raises:
        UsageError: only one of them is, there are several IN, or they are something else than photographs.
    """
    given = [each for each in (*options.sources, options.target) if isinstance(each, str)]
    if given and (len(given) != 2 or len(options.sources) != 1 or options.burst):
        msg = f"{given[0]}: one IN and OUT are both s3://BUCKET/FOLDER, of photographs; for all else see `aws s3 sync`"
        raise UsageError(msg)
    return bool(given)


def _place(text: str) -> Path | str:
    """Return a path of this machine, or an address of a bucket as it was given."""
    if not text:
        msg = "an empty path; expected a file or folder, . is the one you are in"
        raise argparse.ArgumentTypeError(msg)
    scheme, found, _ = text.partition("://")
    if found and scheme.isalnum() and scheme != "s3":
        msg = f"{text!r} is no path of this machine and in no bucket; expected a path, or s3://BUCKET/FOLDER"
        raise argparse.ArgumentTypeError(msg)
    return text if found and scheme == "s3" else Path(text)


def _strength(text: str) -> float | None:
    """Return a share, or None for auto."""
    if text == "auto":
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        msg = f"{text!r} is no strength; expected a number from 0 to 1, or auto"
        raise argparse.ArgumentTypeError(msg)
    return share
