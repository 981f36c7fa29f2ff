"""Where the project is: the folder of dvc.yaml, also from inside DVC's temporary experiment folders."""

import os
from pathlib import Path


def project_root() -> Path:
    """Return the project's root: `UNBLUR_ROOT`, else the nearest folder with a dvc.yaml, else the working folder.

    `dvc exp run --temp` works in `<root>/.dvc/tmp/exps/<name>`; the root that outlives it is the outer one.
    """
    if given := os.environ.get("UNBLUR_ROOT"):
        return Path(given).resolve()
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if folder.parent.name == "exps" and folder.parent.parent.name == "tmp":
            return folder.parents[3]
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    return here
