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
    checker.add_argument("--mend", action="store_true", help="set the aliases to what the ledger says")
    checker.add_argument("--adopt", metavar="WHY", help="write the champion that was set by hand into it instead")
    checker.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    options = parser.parse_args(argv)
    if options.action == "clean":
        return clean_up(options)
    return check(options.name, mend=options.mend, adopt=options.adopt)


def check(name: str, *, mend: bool = False, adopt: str | None = None) -> int:
    """Show the aliases that are not where the ledger says, and moves that were taken out of it."""
    from unblur.console import console, show_table, what_next
    from unblur.registry.checking import check_registry

    report = check_registry(name, mend=mend, adopt=adopt)
    mended = mend or adopt is not None
    if report.lost:
        rows = [[str(number), how] for number, how in sorted(report.lost.items())]
        show_table(f"Versions of {name}.ledger that somebody has changed: what they held is lost", ["", "how"], rows)
    if not report.lags:
        console.print(f"The aliases of {name} are where its ledger says.")
        return 1 if report.lost and not mended else 0
    lags = [[lag.alias, *(f"v{each}" if each else "-" for each in (lag.found, lag.expected))] for lag in report.lags]
    show_table(f"Aliases of {name}", ["alias", "was at" if mended else "is at", "by the ledger"], lags)
    if not mended:
        what_next(
            "unblur registry check --mend     set them to what the ledger says",
            "unblur registry check --adopt WHY     write the champion that was set by hand into the ledger",
        )
    return 0 if mended else 1


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
