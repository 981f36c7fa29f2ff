"""Where a result comes from: the commit of the code and the version of the data."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from unblur.errors import UnblurError

UNKNOWN: Literal["unknown"] = "unknown"
WRITTEN_BY_THE_PIPELINE = ("dvc.lock", "reports")  # tracked, but changed by every run: not a change of the code


@dataclass(frozen=True)
class GitState:
    """The commit of a working tree, and whether tracked files differ from it; "unknown" where git cannot say."""

    sha: str
    dirty: Literal["true", "false", "unknown"]


def git_state(root: Path) -> GitState:
    """Return the commit checked out at `root`, and whether its tracked files were changed since.

    dvc.lock and reports/ do not count as changes, because the pipeline itself writes them. Without git, outside
    a repository, and before the first commit, both are "unknown".
    """
    sha = _git(root, "rev-parse", "--verify", "HEAD")
    exclude = [f":(exclude){name}" for name in WRITTEN_BY_THE_PIPELINE]
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *exclude)
    if sha is None or changes is None:
        return GitState(UNKNOWN, UNKNOWN)
    return GitState(sha, "true" if changes else "false")


def data_version(root: Path, folder: str = "data") -> str:
    """Return the MD5 that data.dvc at `root` records for data/ (it ends in ".dir"), or "unknown" without that file.

    Another `folder` of photographs has its own FOLDER.dvc.

    Raises:
        UnblurError: data.dvc is there but records no MD5.
    """
    path = root / f"{folder}.dvc"
    if not path.is_file():
        return UNKNOWN
    try:
        md5 = yaml.safe_load(path.read_text(encoding="utf-8"))["outs"][0]["md5"]
    except (yaml.YAMLError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        mend = f"Restore it with `git checkout {path.name}`, or run `dvc add {folder}`."
        msg = f"{path} records no MD5 of {folder}/. {mend}"
        raise UnblurError(msg) from error
    return str(md5)


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, or None when it fails or is not installed."""
    # Inside a git hook these point at the repository of the hook, not at the one of `root`.
    environment = {k: v for k, v in os.environ.items() if k not in {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}}
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
