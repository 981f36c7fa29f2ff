"""`unblur why`: which stages of the pipeline are stale, and because of which module, key or file."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from unblur.config.entry import command
from unblur.errors import UnblurError


@command
def main(argv: list[str]) -> int:
    """Compare dvc.lock with the code, the configuration and the files that are here; nothing is run or written."""
    parser = argparse.ArgumentParser(prog="unblur why", description=__doc__)
    parser.parse_args(argv)

    from unblur.config.compose import compose, plain, read_params
    from unblur.config.root import project_root
    from unblur.console import console, show_table
    from unblur.pipeline.code import code_of_stages
    from unblur.pipeline.stale import Present, read_dvc, why_stale

    root = project_root()
    config = plain(compose(read_params(root / "params.yaml")))
    present = Present(config, code_of_stages(config), dvc_status(root))
    stale = why_stale(read_dvc(root / "dvc.yaml"), read_dvc(root / "dvc.lock"), present)
    if not stale:
        console.print(
            "nothing is stale: every stage ran with the code, the keys and the files that are here", soft_wrap=True
        )
        return 0
    show_table(
        "Stale", ["stage", "because of"], [[name, "\n".join(reasons)] for name, reasons in stale.items()], texts=2
    )
    console.print("`dvc repro` runs these again, or takes from its cache what it has run before", soft_wrap=True)
    return 0


def dvc_status(root: Path) -> dict[str, Any]:
    """Return what `dvc status --json` says about the project at `root`.

    Raises:
        UnblurError: DVC cannot say.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"], cwd=root, capture_output=True, text=True, check=False
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        lines = done.stderr.strip().splitlines() or ["no message"]
        msg = f"{root}: `dvc status` fails: {lines[0].removeprefix('ERROR: ')}"
        raise UnblurError(msg) from error
    return found


if __name__ == "__main__":
    main()
