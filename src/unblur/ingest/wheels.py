"""Wheels fetched by pip for the files that they hold; nothing is installed."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from unblur.errors import UnblurError

REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+")
# One fixed kind of wheel, whatever this machine is: the data files in it are the same for all.
TARGET = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
UNREACHABLE = ("connection broken by", "Max retries exceeded")


def fetch_wheel(requirement: str, cache: Path) -> Path:
    """Return the wheel of a pinned requirement, downloaded into `cache` unless it is there already.

    pip's settings (index, proxy, `PIP_FIND_LINKS`, `PIP_NO_INDEX`) hold. A wheel appears in the cache only when whole.

    Args:
        requirement: such as "scikit-image==0.26.0".
        cache: a folder; each requirement has its own below it.

    Raises:
        UnblurError: pip is missing, the index cannot be reached, or it has no such wheel.
    """
    if not REQUIREMENT.fullmatch(requirement):
        msg = f"{requirement!r}: not a pinned requirement; something like 'scikit-image==0.26.0' was expected"
        raise UnblurError(msg)
    folder = cache / requirement
    if found := sorted(folder.glob("*.whl")):
        return found[0]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="pip-") as unfinished:
        _pip_download(requirement, Path(unfinished))
        wheel = next(Path(unfinished).glob("*.whl"))
        wheel.replace(folder / wheel.name)
    return folder / wheel.name


def _pip_download(requirement: str, folder: Path) -> None:
    platforms = [item for name in PLATFORMS for item in ("--platform", name)]
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--retries", "2", "-q"]
    command = [sys.executable, "-m", "pip", "download", *options, *TARGET, *platforms, "--dest", str(folder)]
    # Constraints are for what is installed; here they could only forbid the pinned version.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    done = subprocess.run(
        [*command, requirement], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0 or not any(folder.glob("*.whl")):
        msg = f"{requirement}: pip could not download it: {_reason(done.stderr)}"
        raise UnblurError(msg)


def _reason(stderr: str) -> str:
    """Return pip's complaint in one line."""
    if "No module named pip" in stderr:
        return f"{sys.executable} has no pip; add it with `{sys.executable} -m ensurepip`"
    if any(sign in stderr for sign in UNREACHABLE):
        return "the package index cannot be reached; check the network, the proxy and pip's index settings"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    complaints = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    return complaints[-1][:300] if complaints else "it gave no reason"
