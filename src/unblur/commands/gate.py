"""`unblur gate`: the candidate against the rules of conf/gate and against the champion. Exit code 3: refused.

`--explain` adds the pairs by kind, strength, brightness and difficulty, as a table and as a drawing beside gate.json.
"""

import sys
from typing import TYPE_CHECKING

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig

if TYPE_CHECKING:
    from unblur.records.gate import GateRecord, RuleResult, StratumRow

FIGURE = "gate.png"


def run(cfg: PipelineConfig, *, explain: bool = False) -> "GateRecord | None":
    """Judge the candidate, show every rule with its figure, and fail if one does not hold."""
    from unblur.config.root import project_root
    from unblur.console import console, show_table, tracker
    from unblur.records.gate import FILE, read_record
    from unblur.registry.gate import run_gate

    record = run_gate(cfg, project_root(), tracker)
    if record is None:
        console.print(f"The candidate of {cfg.registry.model_name} is the champion already; there is nothing to judge.")
        if explain:
            show_strata(read_record(project_root() / cfg.paths.registry / FILE), cfg)
        return None
    subject = record.subject
    against = f"{subject.model} v{subject.champion}" if subject.champion else "no champion yet"
    if record.of_champion:
        against = "the rules and pairs of now, which its verdict was not about"
    show_table(
        f"Gate: {subject.model} v{subject.candidate} against {against}, {record.pairs} test pairs",
        ["rule", "figure", "limit", "verdict", "note"],
        [row(result) for result in record.results],
    )
    if explain:
        show_strata(record, cfg)
    record.require_passed()
    return record


def row(result: "RuleResult") -> list[str]:
    """Return the cells of one rule."""
    figure = "-" if result.figure is None else f"{result.figure:.4g} {result.unit}".strip()
    limit = f"{result.limit:g} {result.unit}".strip()
    return [result.rule, figure, limit, "passed" if result.passed else "[bold]REFUSED[/bold]", result.note]


def show_strata(record: "GateRecord", cfg: PipelineConfig) -> None:
    """Show the strata that a verdict is about, and draw them."""
    from unblur.config.root import project_root
    from unblur.console import console, show_table
    from unblur.metrics.profiles import get_profile
    from unblur.reporting.gate_figure import draw_strata
    from unblur.safety.atomic import replacing

    columns = ["pairs", "number", "blurred", "restored", "gain [interval]", "to the champion [interval]"]
    unit = get_profile(cfg.gate.profile).unit
    show_table(f"What the verdict is about, in {unit or 'its own unit'}", columns, map(stratum_row, record.strata))
    path = project_root() / cfg.paths.registry / FIGURE
    with replacing(path) as unfinished:
        unfinished.write_bytes(draw_strata(record.strata, unit))
    console.print(f"Drawn in {path}.")


def stratum_row(found: "StratumRow") -> list[str]:
    """Return the cells of one stratum; a dash where there are too few pairs for an interval, or no champion."""
    differences = (
        "-" if each is None else f"{each[0]:+.3f} [{each[1]:+.3f}, {each[2]:+.3f}]"
        for each in (found.gain, found.against)
    )
    return [found.name, str(found.pairs), f"{found.blurred:.2f}", f"{found.candidate:.2f}", *differences]


def judge(cfg: PipelineConfig, *, explain: bool = False) -> None:
    """Hold the candidate against the rules, and say what comes next."""
    from unblur.console import what_next

    record = run(cfg, explain=explain)
    if record is None or record.of_champion:
        what_next("unblur promote --history     who made it the champion, when and why")
        return
    expected = record.subject.champion or "none"
    what_next(
        f"unblur promote --expect-champion {expected}     make v{record.subject.candidate} the champion",
        f"{cfg.paths.registry}/gate.json     every rule and figure, also in MLflow",
        "unblur gate --explain     by kind, strength, brightness and difficulty",
    )


@stage
def main(cfg: PipelineConfig) -> None:
    """Hold the candidate against the rules."""
    judge(cfg)


@stage
def explained(cfg: PipelineConfig) -> None:
    """The same, with the strata."""
    judge(cfg, explain=True)


if __name__ == "__main__":
    if "--explain" in sys.argv[1:]:
        sys.argv.remove("--explain")
        explained()
    else:
        main()
