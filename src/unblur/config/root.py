"""Where the project is (the folder of dvc.yaml, also from DVC's experiment folders), and where the user's cache is."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.errors import UsageError

if TYPE_CHECKING:
    from unblur.config.schema import PathsConfig

OUTSIDE = "UNBLUR_OUTSIDE"
"""Set in the environment by `--outside`, which processes of a distributed training inherit."""


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


def require_inside(paths: "PathsConfig") -> None:
    """Do nothing if every path is in the project or the working folder, or if `--outside` was given.

    A configuration may be a stranger's file, and it says where commands read and write; so leave to do so elsewhere is
    no key of it. A link that lies in the project counts as inside, wherever it leads.

    Raises:
        UsageError: a path leads elsewhere.
    """
    for name, value in asdict(paths).items():
        require_folder_inside(f"paths.{name}", value)


def require_folder_inside(key: str, value: str) -> None:
    """Do nothing if the folder that a key names is in the project or the working folder, or if `--outside` was given.

    Raises:
        UsageError: it leads elsewhere.
    """
    if OUTSIDE in os.environ:
        return
    allowed = (project_root(), Path.cwd())
    meant = Path(os.path.abspath(value))  # noqa: PTH100 (links stay as they are)
    if not any(place.is_relative_to(folder) for place in (meant, meant.resolve()) for folder in allowed):
        msg = f"{key}={value}: leads out of the project {allowed[0]}; give a folder in it, or say --outside"
        raise UsageError(msg)


def user_cache() -> Path:
    """Return unblur's folder in the user's cache, which need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "unblur"
