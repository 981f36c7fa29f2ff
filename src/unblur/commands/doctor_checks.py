"""What `unblur doctor` looks at beside the packages: disk, clock, DVC's remote, MLflow's store, registry and ledger."""

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from unblur.config.extras import is_installed
from unblur.errors import UnblurError
from unblur.safety.secrets import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

State = Literal["ok", "note", "problem"]
ENOUGH_GB, TOO_LITTLE_GB = 5.0, 1.0
CLOCK_SECONDS = 120.0
SECONDS = 30  # that DVC's remote gets for an answer
ASK_REMOTE = """
from dvc.exceptions import NotDvcRepoError
from dvc.repo import Repo
try:
    repo = Repo()
except NotDvcRepoError:
    raise SystemExit
name = repo.config["core"].get("remote")
if name:
    print(name, repo.config["remote"][name]["url"])
    store = repo.cloud.get_remote_odb(name)
    print(store.fs.exists(store.path))
"""


@dataclass(frozen=True)
class Finding:
    """One thing: what was found, whether work can go on with it, and how to mend it."""

    name: str
    found: str
    state: State = "ok"
    mend: str = ""


def disk(folder: Path) -> Finding:
    """Tell how much room is left in a folder, and whether it can be written."""
    free = shutil.disk_usage(folder).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        mend = f"make {folder} writable for this user"
        return Finding("disk", f"{free:.0f} GB, cannot be written ({error.strerror})", "problem", mend)
    if free < ENOUGH_GB:
        state: State = "problem" if free < TOO_LITTLE_GB else "note"
        return Finding("disk", f"{free:.1f} GB free", state, "training and its cache need about 5 GB; `dvc gc -w`")
    return Finding("disk", f"{free:.0f} GB free")


def clock(folder: Path, server: str = "") -> Finding:
    """Compare this machine's clock with the disk's, the last commit's and, where there is one, MLflow's server's."""
    mend = "set the clock: `timedatectl set-ntp true`"
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        apart = {"the disk's": Path(probe.name).stat().st_mtime - time.time()}
    commit = _output("git", "log", "-1", "--format=%ct", folder=folder)
    if commit.isdecimal() and int(commit) > time.time():  # what is older says nothing
        apart["the last commit's"] = int(commit) - time.time()
    if server.startswith(("http://", "https://")) and (answered := _server_time(server)) is not None:
        apart["MLflow's server's"] = answered - time.time()
    worst = max(apart, key=lambda name: abs(apart[name]))
    if abs(apart[worst]) > CLOCK_SECONDS:
        return Finding("clock", f"{-apart[worst]:+.0f} s from {worst}", "problem", mend)
    return Finding("clock", f"agrees with {' and '.join(apart)}")


def dvc_remote(root: Path) -> Finding:
    """Tell where `dvc push` goes, and whether that answers."""
    if not is_installed("dvc"):
        return Finding("DVC remote", "DVC is not installed", "note", "pip install 'unblur[train]'")
    asked = [sys.executable, "-c", ASK_REMOTE]
    try:
        done = subprocess.run(asked, cwd=root, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Finding("DVC remote", f"no answer in {SECONDS} s", "problem", "see `dvc remote list`")
    where, *told = masked(done.stdout).splitlines() or [""]
    if done.returncode:
        reason = masked((done.stderr.strip().splitlines() or ["no reason given"])[-1])[:200]
        return Finding("DVC remote", f"{where} {reason}".strip(), "problem", "dvc remote modify NAME url ADDRESS")
    if not where:
        return Finding("DVC remote", "no default one", "note", "dvc remote add --default NAME ADDRESS")
    if told != ["True"]:
        return Finding("DVC remote", f"{where}: empty", "note", "dvc push --run-cache")
    return Finding("DVC remote", where)


def registry(name: str) -> Iterator[Finding]:
    """Tell of MLflow's store, the registered model, its champion's file and its ledger. No store is made."""
    from unblur.config.tracking import store_file, tracking_client, tracking_uri

    where, file = masked(tracking_uri()), store_file()
    if not is_installed("mlflow"):
        yield Finding("MLflow's store", where, "note", "pip install 'unblur[train]'")
        return
    if file is not None and not file.exists():
        yield Finding("MLflow's store", f"{where}: not there yet", "note", "make repro, or set MLFLOW_TRACKING_URI")
        return
    try:
        client = tracking_client()
        yield Finding("MLflow's store", f"{where}: answers")
        yield from _model(client, name)
    except UnblurError as error:
        yield Finding("MLflow's store", str(error), "problem", "docs/operations.md: the registry from a backup")


def _model(client: "MlflowClient", name: str) -> Iterator[Finding]:
    from unblur.config.tracking import store_errors
    from unblur.registry.checking import inspect
    from unblur.registry.ledger import Ledger
    from unblur.registry.projection import read_shown
    from unblur.registry.versions import CHAMPION, read_version
    from unblur.runtimes.mlflow_reference import fetched_graph

    with store_errors():
        ledger, shown = Ledger(client, name), read_shown(client, name)
        champion = shown.aliases.get(CHAMPION)
        if champion is None and not shown.move:
            yield Finding("champion", f"{name} has none", "note", "unblur register, gate and promote: `unblur release`")
            return
        try:
            number = champion or ledger.read().champion or 0
            fetched_graph(read_version(client, name, number).uri)
            yield Finding("champion", f"{name} v{number}, its file is the one that was registered")
        except UnblurError as error:
            yield Finding("champion", str(error), "problem", "unblur register, or unblur rollback")
        try:
            report = inspect(ledger.read(), shown)
        except UnblurError as error:
            yield Finding("ledger", str(error), "problem", "unblur rollback, or mend it in MLflow")
            return
        for number, how in sorted(report.lost.items()):
            yield Finding("ledger", f"its version {number} {how}", "note", "unblur registry check")
        if report.unfinished:
            found = "the aliases do not show its last move: its process was killed"
            yield Finding("ledger", found, "problem", "unblur registry check --mend")
        elif not ledger.lines or ledger.champion != champion:
            last = f"v{ledger.champion}" if ledger.champion else "nothing"
            found = f"ends with {last}, the champion is {champion and f'v{champion}'}: the alias was set without unblur"
            yield Finding("ledger", found, "problem", "unblur registry check --mend, or --adopt")
        else:
            yield Finding("ledger", f"{len(ledger.lines)} moves, the last to v{champion}")


def _server_time(address: str) -> float | None:
    parts = urlsplit(address)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # the time is told to anybody
    try:
        with urllib.request.urlopen(plain, timeout=10) as answer:  # noqa: S310 (http or https)
            told = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        told = error.headers["Date"]  # one that refuses us has a clock too
    except (OSError, ValueError, http.client.HTTPException):
        return None  # whether it answers is told elsewhere
    try:
        return parsedate_to_datetime(told).timestamp()
    except (ValueError, TypeError):
        return None


def _output(*command: str, folder: Path) -> str:
    """Return what a command says, nothing where it fails or is missing."""
    settings = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    try:
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
