"""`unblur promote`: the candidate that passed the gate becomes the champion."""

import argparse
from typing import TYPE_CHECKING

from unblur.config.entry import command
from unblur.config.schema import PathsConfig, RegistryConfig

if TYPE_CHECKING:
    from unblur.registry.move import Move


@command
def main(argv: list[str]) -> int:
    """Promote, or show the ledger."""
    parser = argparse.ArgumentParser(prog="unblur promote", description=__doc__)
    parser.add_argument("--expect-champion", metavar="N|none", help="refuse unless this version is champion now")
    parser.add_argument("--why", default="", help="the reason, for the ledger")
    parser.add_argument("--by", help="who promotes, for the ledger; without it the user of this process")
    parser.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    parser.add_argument("--gate", default=PathsConfig.registry, metavar="FOLDER", help="where gate.json is")
    parser.add_argument("--again", action="store_true", help="promote a version that was rolled back, too")
    parser.add_argument("--history", action="store_true", help="show the ledger and change nothing")
    options = parser.parse_args(argv)
    if options.history:
        show_history(options.name)
        return 0

    from unblur.config.root import project_root
    from unblur.console import what_next
    from unblur.registry.move import parse_expected
    from unblur.registry.promote import promote

    root = project_root()
    move = promote(
        options.name,
        root,
        root / options.gate,
        expected=parse_expected(options.expect_champion),
        why=options.why,
        by=options.by,
        again=options.again,
    )
    show(move)
    what_next(
        f"unblur restore IN OUT --model models:/{move.model}@champion     use it",
        f"unblur rollback --expect-champion {move.after}     take it back",
        "unblur promote --history     who moved it, when and why",
    )
    return 0


def show(move: "Move") -> None:
    """Say what has become of the aliases."""
    from unblur.console import console, show_table

    if not move.moved:
        console.print(f"{move.model} v{move.after} is the champion already: nothing changed.")
        return
    done = "Rolled back to" if move.action == "rollback" else "Promoted"
    before, previous = (f"v{number}" if number else "-" for number in (move.before, move.previous))
    rows = [["champion", before, f"v{move.after}"], ["a rollback would end at", "", previous]]
    show_table(f"{done} {move.model} v{move.after}", ["", "before", "now"], rows)


def show_history(name: str) -> None:
    """Show every move of the champion, oldest first."""
    from rich.markup import escape

    from unblur.config.tracking import tracking_client
    from unblur.console import console, show_table
    from unblur.registry.ledger import read_ledger

    entries = read_ledger(tracking_client(), name)
    if not entries:
        console.print(f"The champion of {name} was never moved.")
        return
    rows = []
    for item in entries:
        before = f"v{item.before}" if item.before else "-"
        rows.append([item.when, escape(item.who), item.action, before, f"v{item.after}", escape(item.why)])
    show_table(f"Champions of {name}", ["when (UTC)", "who", "action", "from", "to", "why"], rows)


if __name__ == "__main__":
    main()
