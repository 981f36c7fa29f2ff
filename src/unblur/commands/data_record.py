"""What `unblur data starter` and `unblur data free` have in common: DVC records the folder that they built."""

import os
import subprocess
import sys
from pathlib import Path

from unblur.errors import UnblurError, UsageError


def dvc_file_of(data: Path, option: str) -> Path:
    """Return the file beside a dataset's folder that records it.

    Args:
        data: the folder.
        option: that named it, such as "--root".

    Raises:
        UsageError: it is the root of a disk, beside which there is nothing.
    """
    if not data.name:
        msg = f"{option} {data}: is no folder of a dataset; give one below it, such as data"
        raise UsageError(msg)
    return data.with_name(data.name + ".dvc")


def record(data: Path, dvc_file: Path, recorded: str | None, root: Path) -> str:
    """Put the dataset into DVC's cache, and say what was done; a different dataset's record is never overwritten."""
    from unblur.ingest.versioning import folder_md5

    if not (root / ".dvc").is_dir() or not data.resolve().is_relative_to(root):
        return "not versioned, because it is not in a DVC repository"
    if recorded is None:
        _dvc("add", str(data), root=root)
        return f"recorded in {dvc_file.name}, which is for git to keep"
    if (built := folder_md5(data)) != recorded:
        msg = (
            f"{dvc_file} records another dataset ({recorded}) than the one built here ({built}): "
            f"`dvc checkout {dvc_file.name}` or `dvc pull` brings that one back, `dvc add {data.name}` records this one"
        )
        raise UnblurError(msg)
    _dvc("commit", "--force", str(dvc_file), root=root)
    return f"as {dvc_file.name} records it"


def _dvc(*arguments: str, root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        complaint = " ".join(errors or done.stderr.split())[:300] or "no reason given"
        msg = f"`dvc {' '.join(arguments)}` failed: {complaint}"
        raise UnblurError(msg)
