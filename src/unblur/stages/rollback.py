"""`unblur rollback`: the previous champion comes back; called twice, the first call is undone."""

import argparse

from unblur.config.entry import command
from unblur.config.schema import RegistryConfig


@command
def main(argv: list[str]) -> int:
    """Swap champion and previous champion."""
    parser = argparse.ArgumentParser(prog="unblur rollback", description=__doc__)
    parser.add_argument("--why", default="", help="the reason, for the ledger")
    parser.add_argument("--by", help="who rolls back, for the ledger; without it the user of this process")
    parser.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    options = parser.parse_args(argv)

    from unblur.registry.rollback import rollback
    from unblur.stages.console import show_table, what_next

    move = rollback(options.name, why=options.why, by=options.by)
    rows = [
        ["champion", f"v{move.before}", f"v{move.after}"],
        ["previous_champion", f"v{move.after}", f"v{move.before}"],
    ]
    show_table(f"Rolled back to {move.model} v{move.after}", ["alias", "before", "now"], rows)
    what_next(
        f"v{move.before} stays out until `unblur promote --again`, or until a new candidate passes the gate",
        "unblur rollback     undo this",
        "unblur promote --history     who moved it, when and why",
    )
    return 0


if __name__ == "__main__":
    main()
