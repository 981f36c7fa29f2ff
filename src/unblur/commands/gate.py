"""`unblur gate`: the candidate against the rules of conf/gate and against the champion. Exit code 3: refused."""

from typing import TYPE_CHECKING

from unblur.config.entry import stage
from unblur.config.schema import PipelineConfig

if TYPE_CHECKING:
    from unblur.records.gate import GateRecord, RuleResult


def run(cfg: PipelineConfig) -> "GateRecord | None":
    """Judge the candidate, show every rule with its figure, and fail if one does not hold."""
    from unblur.config.root import project_root
    from unblur.console import console, show_table, tracker
    from unblur.registry.gate import run_gate

    record = run_gate(cfg, project_root(), tracker)
    if record is None:
        console.print(f"The candidate of {cfg.registry.model_name} is the champion already; there is nothing to judge.")
        return None
    subject = record.subject
    against = f"{subject.model} v{subject.champion}" if subject.champion else "no champion yet"
    show_table(
        f"Gate: {subject.model} v{subject.candidate} against {against}, {record.pairs} test pairs",
        ["rule", "figure", "limit", "verdict", "note"],
        [row(result) for result in record.results],
    )
    record.require_passed()
    return record


def row(result: "RuleResult") -> list[str]:
    """Return the cells of one rule."""
    figure = "-" if result.figure is None else f"{result.figure:.4g} {result.unit}".strip()
    limit = f"{result.limit:g} {result.unit}".strip()
    return [result.rule, figure, limit, "passed" if result.passed else "[bold]REFUSED[/bold]", result.note]


@stage
def main(cfg: PipelineConfig) -> None:
    """Hold the candidate against the rules."""
    from unblur.console import what_next

    record = run(cfg)
    if record is None:
        what_next("unblur promote --history     who made it the champion, when and why")
        return
    expected = record.subject.champion or "none"
    what_next(
        f"unblur promote --expect-champion {expected}     make v{record.subject.candidate} the champion",
        f"{cfg.paths.registry}/gate.json     every rule and figure, also in MLflow",
    )


if __name__ == "__main__":
    main()
