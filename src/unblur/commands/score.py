"""`unblur score`: what a model reaches on a folder of blurred and sharp pictures."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import command
from unblur.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unblur.evaluation.pair_scores import PairScore

DESCRIPTION = """Restore every blurred picture of a folder and compare it with its sharp one: a line a pair, the mean
and the pair that gains least. PAIRS holds blur/ and sharp/ with the same names (or another structure of
`unblur data import pairs`). With an ONNX or OpenVINO model a first picture of 0.8 megapixels or more, as the network
sees it, is restored once beforehand, so that its seconds are without the runtime's preparations; those of another first
picture, and of the first of another size, hold them."""


@command
def main(argv: list[str]) -> int:
    """Load the model, score pair after pair, show and write the figures."""
    options = _parse(argv)

    from unblur.console import tracker
    from unblur.evaluation.pair_scores import check_out, claim_panels, is_pair_scores, score_pairs, write_pair_scores
    from unblur.metrics.profiles import get_profile
    from unblur.models.loading import load_chosen
    from unblur.runtimes.tiles import plan_axis
    from unblur.safety.owned import check_replaceable

    get_profile(options.profile)  # what cannot be is refused before anything is loaded
    if options.tile:
        plan_axis(1, options.tile, options.overlap)
    if options.out:
        check_out(options.out)
        check_replaceable(options.out, is_pair_scores, options.overwrite)
    if options.panels and options.panels.is_file():
        msg = f"--panels {options.panels}: is a file; expected a folder"
        raise UsageError(msg)
    if options.panels:
        claim_panels(options.panels, options.pairs, options.overwrite)
    restorer = load_chosen(
        options.model, options.threads, runtime=options.runtime, precision=options.precision, device=options.device
    )
    scores = score_pairs(
        restorer,
        options.pairs,
        options.profile,
        tile=options.tile,
        overlap=options.overlap,
        panels=options.panels,
        track=tracker("scoring"),
    )
    _show(scores, options.profile, restorer.name)
    if options.out:
        about = {"model": restorer.name, "model_sha256": restorer.sha256, "profile": options.profile}
        write_pair_scores(options.out, scores, about | {"tile": options.tile})
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="unblur score", description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="as `unblur restore --model` takes it")
    parser.add_argument("pairs", metavar="PAIRS", type=Path, help="the folder with blur/ and sharp/")
    parser.add_argument("--profile", default="psnr/aligned", help="metric profile (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the figures with full precision: FILE.csv or FILE.json")
    parser.add_argument("--panels", type=Path, metavar="FOLDER", help="write before, after and truth of each pair, PNG")
    parser.add_argument("--overwrite", action="store_true", help="replace what unblur did not write")
    parser.add_argument("--tile", type=int, default=0, help="largest side of a tile (default: 0, pictures whole)")
    parser.add_argument("--overlap", type=int, default=64, help="overlap of tiles in pixels (default: %(default)s)")
    parser.add_argument("--runtime", default="auto", choices=("auto", "onnxruntime", "openvino", "torch"))
    parser.add_argument("--precision", default="auto", choices=("auto", "f32", "bf16"))
    parser.add_argument("--device", choices=("cpu", "cuda", "tensorrt"), help="default: a GPU where there is one")
    parser.add_argument("--threads", type=int, help="threads of the runtime (default: its own choice)")
    return parser.parse_args(argv)


def _show(scores: "Sequence[PairScore]", profile: str, model: str) -> None:
    from rich.markup import escape

    from unblur.console import show_table
    from unblur.evaluation.pair_scores import summarize
    from unblur.evaluation.score_table import decimals

    digits = decimals(profile)

    def line(name: str, blurred: float, restored: float, gain: float, seconds: float) -> list[str]:
        return [name, f"{blurred:.{digits}f}", f"{restored:.{digits}f}", f"{gain:+.{digits}f}", f"{seconds:.2f}"]

    mean = summarize(scores)
    rows = [line(escape(score.pair), score.blurred, score.restored, score.gain, score.seconds) for score in scores]
    rows.append(line("[bold]mean[/bold]", mean.blurred, mean.restored, mean.gain, mean.seconds))
    rows.append([f"worst: {escape(mean.worst)}", "", "", f"{mean.worst_gain:+.{digits}f}", ""])
    show_table(f"{escape(model)}, {profile}", ["pair", "blurred", "restored", "gain", "seconds"], rows)


if __name__ == "__main__":
    main()
