"""`unblur sync-metrics`: what trainings have kept while MLflow's server was away is sent to it."""

import argparse

from unblur.config.entry import command


@command
def main(argv: list[str]) -> int:
    """Send what waits, one training after the other; what cannot be sent stays."""
    parser = argparse.ArgumentParser(prog="unblur sync-metrics", description=__doc__)
    parser.parse_args(argv)

    from unblur.config.root import project_root
    from unblur.config.tracking import store_errors, tracking_client
    from unblur.console import console
    from unblur.training.unsent import UNSENT, send_unsent, waiting

    root = project_root()
    folders = waiting(root)
    if not folders:
        console.print(f"{root / UNSENT}: nothing waits to be sent.", highlight=False)
        return 0
    with store_errors():
        client = tracking_client()
        for folder in folders:
            console.print(f"{folder}: sent to run {send_unsent(client, folder)}", highlight=False)
    return 0


if __name__ == "__main__":
    main()
