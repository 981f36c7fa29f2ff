"""`unblur retrain`: the pipeline where there is a reason to, gate, `dvc push` and a pull request of dvc.lock."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import command

if TYPE_CHECKING:
    from unblur.config.schema import PipelineConfig
    from unblur.records.gate import GateRecord
    from unblur.registry.retraining import Outcome

DESCRIPTION = """Train where there is a reason to: new data, new code, another configuration, drift, a champion that is
too old, other rules of the gate, or --seed. Without one it ends with "nothing to do". A new model becomes the
candidate and goes through the gate (exit code 3: refused); with --propose, what was trained is pushed to the DVC
remote, and the dvc.lock of what passed proposed as a branch and pull request. Nothing is promoted, and while a
candidate waits for that, drift and age are no reason to train another. In a job of GitHub, the report goes to its
summary, `result`, `version`, `branch` and `champion` to its outputs."""


@command
def main(argv: list[str]) -> int:
    """Retrain, and report."""
    options = _parse(argv)

    from unblur.config.root import project_root
    from unblur.console import console
    from unblur.errors import UnblurError
    from unblur.registry.retrain_report import is_report
    from unblur.registry.retraining import Outcome
    from unblur.safety.owned import check_replaceable

    if options.report:
        check_replaceable(options.report, is_report)
    try:
        outcome, record = _retrain(project_root(), options)
    except UnblurError as error:
        report(Outcome("failed", (str(error),)), options.report)
        raise
    report(outcome, options.report)
    console.print(outcome.markdown(), highlight=False, markup=False)
    if record is not None:
        record.require_passed()
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="unblur retrain", description=DESCRIPTION)
    parser.add_argument("--overrides", default="", help="in place of those of params.yaml, separated by spaces")
    parser.add_argument("--seed", type=int, help="train with this seed, whether anything is new or not")
    parser.add_argument("--drift", type=Path, metavar="PAIRS", help="new pairs to try the champion on: blur/, sharp/")
    parser.add_argument("--least-gain", type=float, default=0.3, metavar="DB", help="that it has to gain on them (0.3)")
    parser.add_argument(
        "--because", action="append", default=[], metavar="REASON", help="that something else has found"
    )
    parser.add_argument("--max-age", type=float, metavar="DAYS", help="train where the champion was made so long ago")
    parser.add_argument("--propose", action="store_true", help="dvc push, and a pull request of dvc.lock")
    parser.add_argument("--local", action="store_true", help="register in a file of this machine if there is no server")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write the report there, pictures beside it")
    parser.add_argument("--dry-run", action="store_true", help="only say what there would be to do")
    return parser.parse_args(argv)


def _retrain(root: Path, options: argparse.Namespace) -> tuple["Outcome", "GateRecord | None"]:
    from unblur.config.schema import RegistryConfig
    from unblur.config.tracking import tracking_client
    from unblur.registry.retrain_report import request
    from unblur.registry.retraining import (
        Outcome,
        drift,
        old_champion,
        require_outlets,
        set_overrides,
        unjudged,
        waiting_version,
        why_retrain,
    )

    require_outlets(root, propose=options.propose, local=options.local)
    client, name = tracking_client(), RegistryConfig.model_name
    reasons = list(options.because)
    if options.drift:
        found = drift(options.drift, f"models:/{name}@champion", options.least_gain)
        reasons += [found] if found else []
    if options.max_age is not None:
        found = old_champion(client, name, options.max_age)
        reasons += [found] if found else []
    waiting = waiting_version(client, name)
    told, reasons = (reasons, []) if waiting else ([], reasons)  # what waits may be the answer to them
    if options.seed is not None:
        reasons.append(f"a seed that was asked for: {options.seed}")
    if not options.dry_run:
        seed = _another_seed(root) if reasons and options.seed is None else options.seed
        set_overrides(root, shlex.split(options.overrides) or None, seed)
    if options.propose:
        _say(root, "dvc", "pull", "--run-cache", "--allow-missing", may_fail=True)  # nothing may be there yet
    _say(root, "dvc", "repro", "compose")
    reasons += why_retrain(root)
    if not reasons and waiting:
        version, champion = str(waiting[0]), waiting[1]
        sections = (request(version, champion),)
        return Outcome("waiting", tuple(told), version, champion=champion, sections=sections), None
    found = None if reasons else unjudged(client, _configuration(root), root)
    reasons += [found] if found else []
    if not reasons or options.dry_run:
        return Outcome("nothing to do" if not reasons else "there is a reason to", tuple(reasons)), None
    return _train(root, tuple(reasons), options)


def _train(root: Path, reasons: tuple[str, ...], options: argparse.Namespace) -> tuple["Outcome", "GateRecord | None"]:
    from dataclasses import replace

    from unblur.console import tracker
    from unblur.metrics.profiles import get_profile
    from unblur.registry.gate import run_gate
    from unblur.registry.register import register
    from unblur.registry.retrain_report import cost, draw_pictures, figures, request
    from unblur.registry.retraining import Outcome, data_changes, propose_lock, run_lines

    changes = data_changes(root) if any(reason.startswith("new data") for reason in reasons) else ""
    minutes = _repro(root)
    if options.propose:
        _say(root, "dvc", "push", "--run-cache")
    cfg = _configuration(root)
    version = register(cfg, root).version
    record = run_gate(cfg, root, tracker)
    passed = record is None or record.passed
    results = record.results if record else []
    rules = [f"{rule.rule}: {'passed' if rule.passed else rule.shortfall()}" for rule in results]
    sections, champion = [changes], ""
    if record is not None:
        sections += [figures(record, get_profile(cfg.gate.profile).unit)]
    if record is not None and passed and not record.of_champion:
        champion = str(record.subject.champion or "none")
        sections += [request(str(version), champion)]
    sections += ["".join(run_lines(root, "dvc", "metrics", "diff", "--md", "--all")), cost(minutes)]
    if options.report and record is not None:
        sections += [draw_pictures(cfg, root, record, options.report.parent / f"{options.report.stem}_pictures")]
    kept = tuple(section for section in sections if section.strip())
    result = "candidate" if passed else "refused"
    outcome = Outcome(result, reasons, str(version), tuple(rules), champion=champion, sections=kept)
    if passed and options.propose:
        outcome = replace(outcome, branch=propose_lock(root, outcome))
    return outcome, record


def _repro(root: Path) -> dict[str, float]:
    """Run the pipeline, and return the minutes that each stage has taken.

    Raises:
        UnblurError: a stage has failed; its name and what it said.
    """
    from unblur.errors import UnblurError
    from unblur.registry.retrain_report import StageClock
    from unblur.registry.retraining import run_lines

    clock = StageClock()
    try:
        for line in run_lines(root, "dvc", "repro"):
            clock.hear(line)
            print(line, end="", flush=True)
    except UnblurError as error:
        raise UnblurError(clock.failure(str(error))) from error
    clock.stop()
    return clock.minutes


def _configuration(root: Path) -> "PipelineConfig":
    from typing import cast

    from omegaconf import DictConfig, OmegaConf

    from unblur.config.compose import checked
    from unblur.registry.lineage import CONFIG

    return checked(cast("DictConfig", OmegaConf.load(root / CONFIG)))


def report(outcome: "Outcome", file: Path | None = None) -> None:
    """Write the report to `file` and to the page of a job of GitHub, and result and branch to its outputs."""
    from unblur.registry.retrain_report import write_report
    from unblur.safety.secrets import masked

    text = masked(outcome.markdown())
    if file:
        write_report(file, text)
    outputs = "".join(f"{name}={getattr(outcome, name)}\n" for name in ("result", "version", "branch", "champion"))
    for name, content in (("GITHUB_STEP_SUMMARY", text), ("GITHUB_OUTPUT", outputs)):
        if path := os.environ.get(name):
            with Path(path).open("a", encoding="utf-8") as stream:
                stream.write(content)


def _another_seed(root: Path) -> int:
    """Return the seed after the one of params.yaml: the same one would train the same model again."""
    from unblur.config.compose import read_params

    seeds = [item.partition("=")[2] for item in read_params(root / "params.yaml") if item.startswith("seed=")]
    return int(seeds[-1]) + 1 if seeds and seeds[-1].isdecimal() else 1


def _say(root: Path, *command: str, may_fail: bool = False) -> None:
    """Run a command, and show what it says as it comes."""
    from unblur.errors import UnblurError
    from unblur.registry.retraining import run_lines

    try:
        for line in run_lines(root, *command):
            print(line, end="", flush=True)
    except UnblurError as error:
        if not may_fail:
            raise
        print(f"note: {error}", flush=True)


if __name__ == "__main__":
    main()
