"""`unblur import-weights FILE.pth OUT`: an official checkpoint as unblur's safetensors and configuration."""

import argparse
from pathlib import Path

from unblur.config.entry import command


@command
def main(argv: list[str]) -> int:
    """Read, recognise, write, and say what it was."""
    parser = argparse.ArgumentParser(prog="unblur import-weights", description=__doc__)
    parser.add_argument("file", type=Path, help="checkpoint of the official NAFNet, Restormer or ESTRNN")
    parser.add_argument("out", type=Path, help="folder for model.safetensors and config.json")
    parser.add_argument("--raw", action="store_true", help="leave out ESTRNN's shift to [-0.5, 0.5]")
    options = parser.parse_args(argv)

    from unblur.networks.official import load_official, read_official
    from unblur.stages.console import show_table, what_next
    from unblur.training.weights import save_model

    official = read_official(options.file, raw=options.raw)
    network = load_official(options.file, raw=options.raw)
    sha256 = save_model(network, official.config(), options.out)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    rows = [
        ["family", type(network).__name__],
        ["task", str(network.task)],
        ["parameters", f"{parameters / 1e6:.2f} M"],
        *([name, str(value)] for name, value in official.arguments.items()),
        ["weights", sha256[:16]],
    ]
    show_table(f"Imported into {options.out}", ["", ""], rows)
    what_next(f"unblur restore IN OUT --model {options.out}     use it", "unblur doctor --models     see what it costs")
    return 0


if __name__ == "__main__":
    main()
