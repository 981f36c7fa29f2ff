"""`unblur verify MODEL`: whether a model is what was registered and signed. Exit code 0: all of it holds."""

import argparse
import json
import sys
from dataclasses import asdict

from unblur.config.entry import command


@command
def main(argv: list[str]) -> int:
    """Show what was checked."""
    parser = argparse.ArgumentParser(prog="unblur verify", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="models:/NAME@ALIAS, models:/NAME/VERSION, a folder or a file")
    parser.add_argument("--json", action="store_true", help="the checks as JSON: name, state, found")
    options = parser.parse_args(argv)

    from unblur.registry.verifying import check_model

    found = check_model(options.model)
    failed = any(each.state == "failed" for each in found)
    if options.json:
        sys.stdout.write(json.dumps([asdict(each) for each in found], indent=2) + "\n")
        return int(failed)

    from rich.markup import escape

    from unblur.console import show_table

    shown = {"ok": "ok", "note": "note", "failed": "[bold]FAILED[/bold]"}
    rows = [[each.name, shown[each.state], escape(each.found)] for each in found]
    show_table(
        f"{escape(options.model)}: {'NOT what it should be' if failed else 'all holds'}", ["", "", "found"], rows, 3
    )
    return int(failed)


if __name__ == "__main__":
    main()
