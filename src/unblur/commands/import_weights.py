"""`unblur import-weights FILE OUT`: published weights as unblur's safetensors and configuration."""

import argparse
from pathlib import Path

from unblur.config.entry import command


@command
def main(argv: list[str]) -> int:
    """Read, recognise, write, and say what it was."""
    parser = argparse.ArgumentParser(prog="unblur import-weights", description=__doc__)
    parser.add_argument("file", type=Path, help="checkpoint of NAFNet, Restormer, ESTRNN or MAXIM (also as a package)")
    parser.add_argument("out", type=Path, help="folder for model.safetensors and config.json")
    parser.add_argument("--raw", action="store_true", help="leave out ESTRNN's shift to [-0.5, 0.5]")
    parser.add_argument("--past", type=int, help="frames before its own that ESTRNN sees (default: as many as after)")
    parser.add_argument(
        "--train-size", type=int, metavar="N", help="NAFNet with local statistics, as trained on patches of N pixels"
    )
    parser.add_argument(
        "--stages", type=int, choices=(1, 2, 3), default=3, help="how many stages of MAXIM (default: 3)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is in OUT, whoever made it")
    options = parser.parse_args(argv)

    from rich.markup import escape

    from unblur.console import show_table, what_next
    from unblur.networks.official import read_official
    from unblur.safety.owned import owned_folder
    from unblur.training.weights import save_model

    official = read_official(options.file, raw=options.raw, past=options.past, stages=options.stages)
    if options.train_size is not None:
        official = official.local(options.train_size)
    network = official.build()
    made_of = {"file": official.sha256, "network": official.config()}
    with owned_folder(
        options.out, "import-weights", made_of, inputs=[options.file], keeps=True, overwrite=options.overwrite
    ) as folder:
        sha256 = save_model(network, official.config(), folder)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    rows = [
        ["family", type(network).__name__],
        ["task", str(network.task)],
        ["parameters", f"{parameters / 1e6:.2f} M"],
        *([name, escape(str(value))] for name, value in official.arguments.items()),
        ["weights", sha256[:16]],
    ]
    out = escape(str(options.out))
    show_table(f"Imported into {out}", ["", ""], rows)
    example = "CLIP.mp4 OUT.mp4" if network.task == "video" else "PHOTO OUT"
    what_next(f"unblur restore {example} --model {out}     use it", "unblur doctor --models     see what it costs")
    return 0


if __name__ == "__main__":
    main()
