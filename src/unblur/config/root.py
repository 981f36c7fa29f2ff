"""Where the project is (the folder of dvc.yaml, also from DVC's experiment folders), and where the user's cache is."""

import os
from pathlib import Path


def project_root() -> Path:
    """Return the project's root: `UNBLUR_ROOT`, else the nearest folder with a dvc.yaml, else the working folder.

    `dvc exp run --temp` and `--queue` work in a copy below `<root>/.dvc/tmp/exps/`; the root is the folder that
    outlives it.
    """
    if given := os.environ.get("UNBLUR_ROOT"):
        return Path(given).resolve()
    here = Path.cwd().resolve()
    ancestry = (here, *here.parents)
    for folder in ancestry:
        if folder.parts[-3:] == (".dvc", "tmp", "exps"):
            return folder.parents[2]
    return next((folder for folder in ancestry if (folder / "dvc.yaml").is_file()), here)


def user_cache() -> Path:
    """Return unblur's folder in the user's cache, which need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "unblur"
