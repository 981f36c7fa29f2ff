"""`unblur rollback`: the champion goes back to the last version before it that was not rolled back itself."""

import argparse

from unblur.config.entry import command
from unblur.config.schema import RegistryConfig


@command
def main(argv: list[str]) -> int:
    """Roll back, and say where it ended."""
    parser = argparse.ArgumentParser(prog="unblur rollback", description=__doc__)
    parser.add_argument("--expect-champion", metavar="N", help="refuse unless this version is champion now")
    parser.add_argument("--why", default="", help="the reason, for the ledger")
    parser.add_argument("--by", help="who rolls back, for the ledger; without it the user of this process")
    parser.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    options = parser.parse_args(argv)

    from unblur.commands.promote import show
    from unblur.console import what_next
    from unblur.registry.move import parse_expected
    from unblur.registry.rollback import rollback

    move = rollback(options.name, expected=parse_expected(options.expect_champion), why=options.why, by=options.by)
    show(move)
    what_next(
        f"v{move.before} stays out until `unblur promote --again`; a new candidate has to pass the gate",
        "unblur promote --history     who moved it, when and why",
    )
    return 0


if __name__ == "__main__":
    main()
