"""Retraining that nobody watches: what for, whether it came to something, and what has to follow it.

A schedule trains for a reason: new data, new code, another configuration, a champion that no longer gains on new pairs
(drift), one that is too old, or a seed that was asked for. Without one there is nothing to do, which is a result. A new
model goes through the gate; one that passes is proposed as a branch with its dvc.lock. Nothing is promoted.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from unblur.config.compose import read_params
from unblur.config.schema import PipelineConfig
from unblur.config.tracking import store_errors
from unblur.errors import UnblurError
from unblur.pipeline.stale import CODE
from unblur.records.chosen import FILE as CHOSEN
from unblur.records.chosen import read_chosen
from unblur.registry.gate import code_of_rules
from unblur.registry.ledger import read_ledger
from unblur.registry.lineage import CONFIG
from unblur.registry.record import find_record
from unblur.registry.versions import CHALLENGER, CHAMPION, Version, find_by_sha256, read_aliases, read_version
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDERS = ("src", "conf")  # of code that a stage of somebody's own may name
TRACKED = ("dvc.lock", "params.yaml", "reports")  # what a proposal holds
LOCK = "dvc.lock"
MADE = ("artifacts/", "reports/")  # by the pipeline


@dataclass(frozen=True)
class Outcome:
    """What a retraining has come to, one line a reason, and the sections of its report.

    `result` is "nothing to do", "waiting" (for a person to promote `version`), "candidate", "refused" or "failed".
    """

    result: str
    reasons: tuple[str, ...] = ()
    version: str = ""
    rules: tuple[str, ...] = ()
    branch: str = ""
    champion: str = ""  # that a promotion of `version` replaces: a number, or none
    sections: tuple[str, ...] = field(default=(), repr=False)

    def markdown(self) -> str:
        """Return the report that people read, on a job's page and in a pull request."""
        waits = f"nothing to do, {self.version} waits" if self.result == "waiting" else self.result
        lines = [f"## Retraining: {waits}", ""]
        lines += [f"- {reason}" for reason in self.reasons] or ["- dvc.lock is current, and nothing else was asked for"]
        if self.rules:
            lines += ["", f"{self.version} is the candidate. Gate:", "", *(f"- {rule}" for rule in self.rules)]
        if self.branch:
            lines += ["", f"Branch `{self.branch}` holds its dvc.lock; its files are in the DVC remote."]
        for section in self.sections:
            lines += ["", section.rstrip()]
        return "\n".join(lines) + "\n"


def why_retrain(root: Path) -> list[str]:
    """Return what has changed since dvc.lock, a line for each kind of cause; empty when nothing has.

    What is only not on this machine is no cause: DVC fetches or makes it.

    Raises:
        UnblurError: data/ is not there, or DVC cannot say.
    """
    status = json.loads("".join(run_lines(root, "dvc", "status", "--json", say=False)) or "{}")
    changed: set[str] = set()
    missing: set[str] = set()
    modules: set[str] = set()
    for changes in status.values():
        for entry in changes:
            for name, state in entry.get("changed deps", {}).items() if isinstance(entry, dict) else ():
                if name.startswith(f"{CODE}/") and isinstance(state, dict):
                    modules |= state.keys()
                else:
                    (missing if state == "deleted" else changed).add(name)
    if lost := sorted(name for name in missing if not name.startswith(MADE)):
        msg = f"{root / lost[0]} is not there: fetch the data first (`unblur data starter`, or `dvc pull`)."
        raise UnblurError(msg)
    kinds: dict[str, set[str]] = {"new code": modules, "another configuration": set(), "new data": set()}
    for name in changed:
        if name.split("/")[0] in FOLDERS:
            kinds["new code"].add(name)
        elif name in ("params.yaml", str(CONFIG)):
            kinds["another configuration"].add(name)
        elif not name.startswith(MADE):  # what follows from the others
            kinds["new data"].add(name)
    return [f"{kind}: {_few(sorted(names))}" for kind, names in kinds.items() if names]


@store_errors()
def old_champion(client: "MlflowClient", name: str, days: float) -> str | None:
    """Say so if the champion was made champion more than `days` ago; None where there is no champion."""
    moves = read_ledger(client, name)
    if not moves or CHAMPION not in read_aliases(client, name):
        return None
    age = (datetime.now(UTC) - datetime.fromisoformat(moves[-1].when)).total_seconds() / 86400
    told = f"schedule: {name} v{moves[-1].after} has been the champion for {age:.0f} days, at most {days:g} wanted"
    return told if age > days else None


@store_errors()
def waiting_version(client: "MlflowClient", name: str) -> tuple[Version, str] | None:
    """Return the version that has passed the gate and was not promoted yet, with the champion's number or "none"."""
    aliases = read_aliases(client, name)
    if CHALLENGER not in aliases or aliases[CHALLENGER] == aliases.get(CHAMPION):
        return None
    return read_version(client, name, aliases[CHALLENGER]), str(aliases.get(CHAMPION, "none"))


@store_errors()
def unjudged(client: "MlflowClient", cfg: PipelineConfig, root: Path) -> str | None:
    """Say so if the model that dvc.lock stands for lies here, and was never judged or by other rules than today's."""
    folder = root / cfg.paths.benchmark
    if not (folder / CHOSEN).is_file():
        return None
    version = find_by_sha256(client, cfg.registry.model_name, read_chosen(folder).sha256)
    try:
        record = find_record(client, version, root / cfg.paths.registry) if version else None
    except UnblurError:
        return f"{version} was judged by another version of unblur"
    if record is None:
        return "the model of dvc.lock was not judged by the gate yet"  # or the run was cut off before that
    changed = (record.subject.rules, record.subject.code) != (asdict(cfg.gate), code_of_rules())
    return f"the gate's rules have changed since {version} was judged" if changed else None


def data_changes(root: Path) -> str:
    """Return what `unblur data diff` tells of the data since the commit of dvc.lock, as Markdown; empty without git."""
    try:
        since = "".join(run_lines(root, "git", "log", "-1", "--format=%h", "--", LOCK, say=False)).strip()
        if not since:
            return ""
        told = "".join(run_lines(root, "unblur", "data", "diff", since))
    except UnblurError as error:
        told = str(error)
    return f"### Data since the last training\n\n```\n{told.strip()}\n```"


def set_overrides(root: Path, overrides: Sequence[str] | None, seed: int | None) -> None:
    """Write params.yaml anew: other overrides if they are given, and `seed` in place of theirs."""
    path = root / "params.yaml"
    found = list(read_params(path) if overrides is None else overrides)
    if seed is not None:
        found = [item for item in found if not item.startswith("seed=")] + [f"seed={seed}"]
    if found != read_params(path):
        with replacing(path) as unfinished:
            unfinished.write_text(yaml.safe_dump({"overrides": found}, sort_keys=False), encoding="utf-8")


def require_outlets(root: Path, *, propose: bool, local: bool) -> None:
    """Make sure, before hours of work, that what is trained can be registered, pushed and proposed.

    Raises:
        UnblurError: there is no tracking server, no DVC remote or no git remote.
    """
    if not local and not os.environ.get("MLFLOW_TRACKING_URI"):
        msg = (
            "MLFLOW_TRACKING_URI is not set: the candidate would be registered in a file of this machine, where nobody "
            "finds it. Set it (in GitHub, the secret of that name), or say --local."
        )
        raise UnblurError(msg)
    if propose and not "".join(run_lines(root, "dvc", "remote", "list", say=False)).strip():
        msg = "there is no DVC remote, so nobody could fetch what dvc.lock names: `dvc remote add -d store ADDRESS`."
        raise UnblurError(msg)
    if propose and "origin" not in "".join(run_lines(root, "git", "remote", say=False)).split():
        msg = "git has no remote `origin` to propose dvc.lock to: `git remote add origin ADDRESS`."
        raise UnblurError(msg)


def drift(pairs: Path, model: str, least_gain: float) -> str | None:
    """Say so if a model gains less than `least_gain` dB on a folder of new blurred and sharp pairs; else None."""
    from unblur.evaluation.pair_scores import score_pairs
    from unblur.runtimes.restorer import load_restorer

    scores = score_pairs(load_restorer(model), pairs, "psnr/aligned")
    gain = sum(score.gain for score in scores) / len(scores)
    told = f"drift: {model} gains {gain:+.2f} dB on {len(scores)} pairs of {pairs.name}, {least_gain:+.2f} dB wanted"
    return told if gain < least_gain else None


def propose_lock(root: Path, outcome: Outcome) -> str:
    """Commit dvc.lock, params.yaml and reports/ to a branch of their own, push it, and return its name.

    Where the command `gh` is, a pull request is opened too; the same results give the same branch, and no second one.

    Raises:
        UnblurError: git or gh has failed.
    """
    branch = f"retrain/{sha256_file(root / LOCK)[:12]}"
    if "".join(run_lines(root, "git", "ls-remote", "--heads", "origin", branch, say=False)).strip():
        return branch
    subject = f"Retrain: {outcome.version}, {_few([reason.partition(':')[0] for reason in outcome.reasons])}"
    for command in (
        ("git", "switch", "--quiet", "--force-create", branch),
        ("git", "add", "--", *(name for name in TRACKED if (root / name).exists())),
        ("git", "commit", "--quiet", "--message", subject),
        ("git", "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}"),
    ):
        list(run_lines(root, *command))
    if shutil.which("gh"):
        body = outcome.markdown()
        list(run_lines(root, "gh", "pr", "create", "--head", branch, "--title", subject, "--body", body))
    return branch


def run_lines(root: Path, *command: str, say: bool = True) -> Iterator[str]:
    """Run a command in `root` and yield its lines as they come; a Python command is that of this interpreter's folder.

    Raises:
        UnblurError: it is not there, or ends with another code than 0.
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT if say else subprocess.PIPE}
    try:
        process = subprocess.Popen(command, cwd=root, env=environment, text=True, **streams)
    except FileNotFoundError as error:
        msg = f"the command {command[0]!r} is not there: install it, or put it on the PATH"
        raise UnblurError(msg) from error
    with process:
        last = ""
        for line in process.stdout or ():
            last = line.strip() or last
            yield line
        if process.stderr is not None:
            last = (process.stderr.read().strip().splitlines() or [last])[-1]
    if process.returncode:
        msg = f"`{' '.join(command[:3])}` has ended with code {process.returncode}: {last[:300]}"
        raise UnblurError(msg)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
