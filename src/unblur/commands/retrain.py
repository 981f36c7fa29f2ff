"""`unblur retrain`: the pipeline where there is a reason to, gate, `dvc push` and a pull request of dvc.lock."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import command

if TYPE_CHECKING:
    from unblur.records.gate import GateRecord
    from unblur.registry.retraining import Outcome

DESCRIPTION = """Train where there is a reason to: new data, new code, another configuration, drift, or --seed. Without
one it ends with "nothing to do". A new model becomes the candidate and goes through the gate (exit code 3: refused);
with --propose, what passed is pushed to the DVC remote and its dvc.lock proposed as a branch and pull request. Nothing
is promoted. In a job of GitHub, the report goes to its summary, and the result to its output `result`."""


@command
def main(argv: list[str]) -> int:
    """Retrain, and report."""
    options = _parse(argv)

    from unblur.config.root import project_root
    from unblur.console import console
    from unblur.errors import UnblurError
    from unblur.registry.retraining import Outcome

    try:
        outcome, record = _retrain(project_root(), options)
    except UnblurError as error:
        report(Outcome("failed", (str(error),)))
        raise
    report(outcome)
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
    parser.add_argument("--propose", action="store_true", help="dvc push, and a pull request of dvc.lock")
    parser.add_argument("--local", action="store_true", help="register in a file of this machine if there is no server")
    parser.add_argument("--dry-run", action="store_true", help="only say what there would be to do")
    return parser.parse_args(argv)


def _retrain(root: Path, options: argparse.Namespace) -> tuple["Outcome", "GateRecord | None"]:
    from unblur.config.schema import RegistryConfig
    from unblur.config.tracking import tracking_client
    from unblur.registry.retraining import Outcome, drift, require_outlets, set_overrides, why_retrain

    require_outlets(root, propose=options.propose, local=options.local)
    tracking_client()
    reasons = []
    if options.drift:
        found = drift(options.drift, f"models:/{RegistryConfig.model_name}@champion", options.least_gain)
        reasons += [found] if found else []
    if options.seed is not None:
        reasons.append(f"a seed that was asked for: {options.seed}")
    if not options.dry_run:
        seed = _another_seed(root) if reasons and options.seed is None else options.seed
        set_overrides(root, shlex.split(options.overrides) or None, seed)
    if options.propose:
        _say(root, "dvc", "pull", "--run-cache", "--allow-missing", may_fail=True)  # nothing may be there yet
    _say(root, "dvc", "repro", "compose")
    reasons += why_retrain(root)
    if not reasons or options.dry_run:
        return Outcome("nothing to do" if not reasons else "there is a reason to", tuple(reasons)), None
    return _train(root, tuple(reasons), propose=options.propose)


def _train(root: Path, reasons: tuple[str, ...], *, propose: bool) -> tuple["Outcome", "GateRecord | None"]:
    from dataclasses import replace
    from typing import cast

    from omegaconf import DictConfig, OmegaConf

    from unblur.config.compose import checked
    from unblur.console import tracker
    from unblur.registry.gate import run_gate
    from unblur.registry.lineage import CONFIG
    from unblur.registry.register import register
    from unblur.registry.retraining import Outcome, propose_lock, run_lines

    _say(root, "dvc", "repro")
    cfg = checked(cast("DictConfig", OmegaConf.load(root / CONFIG)))
    version = register(cfg, root).version
    record = run_gate(cfg, root, tracker)
    passed = record is None or record.passed
    results = record.results if record else []
    rules = [f"{rule.rule}: {'passed' if rule.passed else rule.shortfall()}" for rule in results]
    metrics = "".join(run_lines(root, "dvc", "metrics", "diff", "--md", "--all"))
    outcome = Outcome("candidate" if passed else "refused", reasons, str(version), tuple(rules), metrics=metrics)
    if passed and propose:
        _say(root, "dvc", "push", "--run-cache")
        outcome = replace(outcome, branch=propose_lock(root, outcome))
    return outcome, record


def report(outcome: "Outcome") -> None:
    """Write the report to the page of a job of GitHub, and the result to its outputs."""
    from unblur.safety.secrets import masked

    for name, text in (("GITHUB_STEP_SUMMARY", outcome.markdown()), ("GITHUB_OUTPUT", f"result={outcome.result}\n")):
        if path := os.environ.get(name):
            with Path(path).open("a", encoding="utf-8") as stream:
                stream.write(masked(text))


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
