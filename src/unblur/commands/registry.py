"""`unblur registry clean`: old versions and orphan runs go, by a rule; without --delete they are only listed."""

import argparse

from unblur.config.entry import command
from unblur.config.schema import RegistryConfig

RULE = """Versions with an alias, champions of the ledger that were not rolled back, and the N newest stay; so do their
runs, ledgers, runs at work, and the N newest of the other runs. Runs can be restored until `mlflow gc` runs, versions
cannot."""


@command
def main(argv: list[str]) -> int:
    """List or delete what is left over."""
    parser = argparse.ArgumentParser(prog="unblur registry", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    cleaner = actions.add_parser("clean", help="what nobody needs any more", description=RULE)
    cleaner.add_argument("--keep", type=int, default=5, metavar="N", help="newest versions and runs that stay (5)")
    cleaner.add_argument("--delete", action="store_true", help="delete them; without it nothing is changed")
    cleaner.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    cleaner.add_argument("--experiment", default=RegistryConfig.experiment, help="whose runs are looked at")
    options = parser.parse_args(argv)

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
