"""`unblur new network|layout|stage NAME`: the files of a new one, ready to run, for you to put the equations in."""

import argparse
from pathlib import Path

from unblur.config.entry import command
from unblur.config.root import project_root
from unblur.errors import UnblurError, UsageError


@command
def main(argv: list[str]) -> int:
    """Write the files into the checkout that this code is of."""
    parser = argparse.ArgumentParser(prog="unblur new", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    network = kinds.add_parser("network", help="a network, its presets NAME and NAME_tiny, its reference values")
    network.add_argument("name", metavar="NAME")
    network.add_argument("--task", choices=("image", "video"), default="image", help="what it restores (image)")
    network.add_argument("--values", action="store_true", help="store the reference values again, and nothing else")
    kinds.add_parser("layout", help="how a dataset lies on disk, and its preset").add_argument("name", metavar="NAME")
    kinds.add_parser("stage", help="a stage of the pipeline").add_argument("name", metavar="NAME")
    options = parser.parse_args(argv)

    from rich.markup import escape

    from unblur.console import console, what_next
    from unblur.scaffold.write import CHECKOUT, new_layout, new_network, new_stage

    _require_here(CHECKOUT)
    where = "" if Path.cwd().is_relative_to(CHECKOUT) else f"{CHECKOUT}/"
    name = options.name
    if options.kind == "layout":
        written = new_layout(name)
    elif options.kind == "stage":
        written = new_stage(name)
    else:
        written = [] if options.values else new_network(name, options.task)
        written.append(_store_values(f"{name}_tiny"))
    for path in written:
        console.print(escape(f"wrote {where}{path.relative_to(CHECKOUT)}"), soft_wrap=True)
    steps = {
        "network": (
            f"{where}src/unblur/networks/{name}.py          put the paper's equations in",
            f"unblur new network {name} --values     store the reference values of what it computes now",
            f"unblur train model={name} debug=overfit",
        ),
        "layout": (
            f"{where}src/unblur/ingest/layouts/{name}.py    say where the pairs lie; the same in tests/ingest/layouts",
            f"unblur data import {name} FOLDER",
        ),
        "stage": (
            f"{where}src/unblur/stages/{name}.py            say what it makes",
            "unblur compose, then `dvc repro`        runs what is new",
        ),
    }
    what_next(*map(escape, steps[options.kind]))
    return 0


def _require_here(checkout: Path) -> None:
    """Refuse to write into a checkout from inside another project: its files would turn up where nobody looks."""
    project = project_root()
    if project != checkout and (project / "dvc.yaml").is_file() and (checkout / "dvc.yaml").is_file():
        msg = (
            f"{project}: is another project than {checkout}, whose code this `unblur` runs; "
            "go there, or install the one here with `make venv`"
        )
        raise UsageError(msg)


def _store_values(preset: str) -> Path:
    import yaml

    from unblur.config.instantiate import instantiate
    from unblur.scaffold.reference import write_reference
    from unblur.scaffold.write import CHECKOUT

    file = CHECKOUT / "conf" / "model" / f"{preset}.yaml"
    if not file.is_file():
        msg = f"{file}: is not there; `unblur new network NAME` writes it"
        raise UnblurError(msg)
    return write_reference(CHECKOUT, preset, instantiate(yaml.safe_load(file.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
