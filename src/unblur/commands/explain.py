"""`unblur explain`: why a model restored a photograph as it did, on one page, each map with its tests."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import command

if TYPE_CHECKING:
    from unblur.explaining.explanation import Explanation

DESCRIPTION = """Explain a model's answer to a photograph, a burst (a folder of shots) or a video: where it was blurred,
which pixels the model leaned on, where not to trust it. OUT becomes a folder with one page (index.html), its pictures
(PNG) and figures (CSV, JSON). Every map is tested; one that fails is marked."""


@command
def main(argv: list[str]) -> int:
    """Read, explain, write; show the sentences and the tests."""
    options = _parse(argv)

    from unblur.config.extras import told
    from unblur.safety.owned import check_owned, owned_folder

    settings = {name: str(value) for name, value in sorted(vars(options).items()) if name != "overwrite"}
    check_owned(options.out, "explain", overwrite=options.overwrite)
    with told():
        from unblur.console import tracker
        from unblur.explaining.photo import Asked, explain_frames
        from unblur.explaining.source import find_calibration, read_source, with_gradients
        from unblur.models.loading import load_chosen

    restorer = load_chosen(with_gradients(options.model), options.threads, runtime=options.runtime, precision="f32")
    restorer.name = options.model or restorer.name
    source = read_source(options.photo, restorer, options.frame)
    asked = Asked(
        at=options.at,
        size=options.size,
        methods=tuple(options.maps.split(",")) if options.maps else None,
        tests=not options.quick,
        reference=source.reference,
        numbers=source.numbers,
        whole=options.whole,
    )
    found = explain_frames(
        restorer,
        source.frames,
        options.photo.name,
        asked,
        calibration=find_calibration(options.calibration, restorer.sha256),
        track=tracker("maps"),
    )
    with owned_folder(options.out, "explain", settings, inputs=[options.photo], overwrite=options.overwrite) as new:
        found.write(new)
    _show(found, options.out)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="unblur explain", description=DESCRIPTION)
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a photograph, a folder of shots, or a video")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    parser.add_argument("--model", help="as `unblur restore --model` takes it; a folder with model.safetensors has all "
                        "maps, and in a checkout `box` too")  # fmt: skip
    parser.add_argument("--at", type=_place, metavar="X,Y", help="a region around this place alone, by one map, in "
                        "seconds (default: the whole page, of the region that is corrected most)")  # fmt: skip
    parser.add_argument("--whole", action="store_true", help="with --at: the whole page, all maps, in minutes")
    parser.add_argument("--size", type=int, default=32, help="side of the region in pixels (default: %(default)s)")
    parser.add_argument("--maps", metavar="A,B", help="lam, grouped_gradients, integrated_gradients, "
                        "input_gradients, occlusion, lime, intervention (default: all that the model allows; with "
                        "--at the last)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="leave the tests of the maps out")
    parser.add_argument("--frame", type=int, help="of a video or burst the frame that is explained, from 0")
    parser.add_argument("--calibration", type=Path, help="what `unblur explain-pairs` wrote (default: that of paths)")
    parser.add_argument("--runtime", default="auto", choices=("auto", "onnxruntime", "openvino", "torch"))
    parser.add_argument("--threads", type=int, help="threads of the runtime (default: its own choice)")
    parser.add_argument("--overwrite", action="store_true", help="replace what unblur did not write")
    return parser.parse_args(argv)


def _place(text: str) -> tuple[int, int]:
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError as error:
        msg = f"{text!r} is no place; expected X,Y in pixels, such as 320,200"
        raise argparse.ArgumentTypeError(msg) from error
    return x, y


def _show(found: "Explanation", out: Path) -> None:
    from rich.markup import escape

    from unblur.console import console, show_table, what_next
    from unblur.explaining.methods import METHODS

    for sentence in found.sentences:
        console.print(f"- {escape(sentence)}", highlight=False)
    if found.fidelity:
        rows = [
            [
                METHODS[row.map].title,
                f"{row.deletion:+.3f}",
                f"{row.insertion:+.3f}",
                f"{row.rank_correlation:.2f}",
                f"{row.stability:.2f}",
                "-" if row.unchanged is None else f"{row.unchanged:.2f}",
                row.failed or "passed",
            ]
            for row in found.fidelity
        ]
        columns = ["map", "deletion", "insertion", "rank", "stability", "shuffled", "verdict"]
        show_table("Are the maps true?", columns, rows)
    what_next(f"open {escape(str(out / 'index.html'))}")


if __name__ == "__main__":
    main()
