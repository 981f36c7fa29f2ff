"""`unblur registry`: `check` compares the aliases with the ledger, `clean` lists or deletes what nobody needs."""

import argparse

from unblur.config.entry import command
from unblur.config.schema import RegistryConfig

RULE = """Versions with an alias, champions of the ledger that were not rolled back, and the N newest stay; so do their
runs, ledgers, runs at work, and the N newest of the other runs. Runs can be restored until `mlflow gc` runs, versions
cannot."""


@command
def main(argv: list[str]) -> int:
    """Compare the aliases with the ledger, or list or delete what is left over."""
    parser = argparse.ArgumentParser(prog="unblur registry", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    cleaner = actions.add_parser("clean", help="what nobody needs any more", description=RULE)
    cleaner.add_argument("--keep", type=int, default=5, metavar="N", help="newest versions and runs that stay (5)")
    cleaner.add_argument("--delete", action="store_true", help="delete them; without it nothing is changed")
    cleaner.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    cleaner.add_argument("--experiment", default=RegistryConfig.experiment, help="whose runs are looked at")
    checker = actions.add_parser("check", help="compare the aliases with the ledger (exit code 1: they differ)")
    checker.add_argument("--mend", action="store_true", help="finish a move that was cut off, and set the aliases")
    checker.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    options = parser.parse_args(argv)
    return check(options.name, mend=options.mend) if options.action == "check" else clean_up(options)


def check(name: str, *, mend: bool) -> int:
    """Show the aliases that are not where the ledger says."""
    from unblur.console import console, show_table, what_next
    from unblur.registry.checking import check_aliases

    lags = check_aliases(name, mend=mend)
    if not lags:
        console.print(f"The aliases of {name} are where its ledger says.")
        return 0
    called = [[lag.alias, *(f"v{number}" if number else "-" for number in (lag.found, lag.expected))] for lag in lags]
    show_table(f"Aliases of {name}", ["alias", "was at" if mend else "is at", "by the ledger"], called)
    if not mend:
        what_next("unblur registry check --mend     set them to what the ledger says")
    return 0 if mend else 1


def clean_up(options: argparse.Namespace) -> int:
    """List or delete what is left over."""
    from unblur.console import console, show_table
    from unblur.registry.cleaning import clean

    found = clean(options.name, options.experiment, options.keep, delete=options.delete)
    if not found:
        console.print("Nothing is left over.")
        return 0
    title = f"{'Deleted' if options.delete else 'Would go, with --delete'}: {len(found)}"
    show_table(title, ["", "which", "why"], [[item.kind, item.id, item.why] for item in found])
    return 0


if __name__ == "__main__":
    main()
