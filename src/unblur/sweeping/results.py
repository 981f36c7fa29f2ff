"""What a sweep has found: a line and a row for each trial, the best ones, and the command that trains them again."""

import csv
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from unblur.safety.atomic import replacing
from unblur.sweeping.parameters import written
from unblur.sweeping.space import Space
from unblur.sweeping.study import retried

CSV, BEST, PAGE = "results.csv", "best.yaml", "sweep.html"
UNITS = {"val/psnr": "dB", "val/gain": "dB", "latency_ms": "ms", "size_mb": "MB"}
_DIGITS = {"val/psnr": 3, "val/gain": 3, "latency_ms": 1, "size_mb": 2}
_WORDS = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "ended early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def state_of(trial: FrozenTrial, lost: set[int]) -> str:
    """Return how a trial has ended, in one or two words."""
    return "lost, tried again" if trial.number in lost else _WORDS[trial.state]


def shown(name: str, value: float | None) -> str:
    """Return the value of an objective with its digits, a dash for none."""
    return "-" if value is None else f"{value:.{_DIGITS[name]}f}"


def minutes(trial: FrozenTrial) -> float | None:
    """Return how long a trial took, None while it runs."""
    return None if trial.duration is None else trial.duration.total_seconds() / 60


def values_of(space: Space, trial: FrozenTrial) -> dict[str, float | None]:
    """Return the value of each objective; of a trial that ended early, its last report."""
    values = trial.values or [None] * len(space.objectives)
    return dict(zip(space.objectives, values, strict=True))


def line_of(space: Space, trial: FrozenTrial) -> str:
    """Return the line about a trial that has ended."""
    given = values_shown(space, trial)
    if trial.state == TrialState.FAIL:
        return f"trial {trial.number} failed: {trial.user_attrs.get('error') or 'no word of why'} ({given})"
    values = ", ".join(f"{name} {shown(name, value)} {UNITS[name]}" for name, value in values_of(space, trial).items())
    early = " ended early:" if trial.state == TrialState.PRUNED else ":"
    return f"trial {trial.number}{early} {values} ({given}; {minutes(trial) or 0:.1f} min)"


def overrides_of(space: Space, trial: FrozenTrial) -> list[str]:
    """Return the overrides that a trial has beside those that all have."""
    return [each.override(trial.params[each.key]) for each in space.parameters if each.key in trial.params]


def values_shown(space: Space, trial: FrozenTrial) -> str:
    """Return what a trial varies, numbers with four digits: for people, where `overrides_of` is exact."""
    given = ((each, trial.params[each.key]) for each in space.parameters if each.key in trial.params)
    return " ".join(
        f"{each.key}={value:.4g}" if isinstance(value, float) else each.override(value) for each, value in given
    )


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the best trial, or the Pareto front in the order of the first objective, its best first."""
    found = study.best_trials if any(t.state == TrialState.COMPLETE for t in study.get_trials(deepcopy=False)) else []
    found.sort(key=lambda trial: trial.number)
    found.sort(key=lambda trial: trial.values[0], reverse=study.directions[0] == StudyDirection.MAXIMIZE)
    return found if len(study.directions) > 1 else found[:1]


def ranked(space: Space, study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials: the best first, then the others that are done, those that ended early, and the rest."""
    front = best_trials(study)
    first = [trial.number for trial in front]
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    order = list(_WORDS)

    def place(trial: FrozenTrial) -> tuple[bool, int, float, int]:
        value = sign * trial.values[0] if trial.values else 0.0
        return trial.number not in first, order.index(trial.state), value, trial.number

    return sorted(study.get_trials(deepcopy=False), key=place)


def command_of(space: Space, trial: FrozenTrial) -> str:
    """Return the command line that trains with the values of a trial."""
    return shlex.join(["unblur", "train", *space.overrides, *overrides_of(space, trial)])


def write_results(space: Space, study: optuna.Study) -> None:
    """Write results.csv, a row for each trial in its order, and best.yaml where a trial is done."""
    trials = study.get_trials(deepcopy=False)
    lost = retried(trials)
    keys = [each.key for each in space.parameters]
    with replacing(space.folder / CSV) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["trial", "state", *space.objectives, *keys, "minutes", "machine", "error"])
        for trial in trials:
            taken = minutes(trial)
            table.writerow([
                trial.number,
                state_of(trial, lost),
                *values_of(space, trial).values(),
                *(written(trial.params[key]) if key in trial.params else "" for key in keys),
                "" if taken is None else round(taken, 2),
                trial.user_attrs.get("machine", ""),
                trial.user_attrs.get("error", ""),
            ])  # fmt: skip
    if front := best_trials(study):
        write_best(space, front)


def write_best(space: Space, front: Sequence[FrozenTrial]) -> None:
    """Write best.yaml: the overrides of the best trial, as params.yaml has them, and the Pareto front."""
    described = [
        {
            "trial": trial.number,
            "values": values_of(space, trial),
            "overrides": [*space.overrides, *overrides_of(space, trial)],
        }
        for trial in front
    ]
    content: dict[str, Any] = dict(described[0])
    if len(space.objectives) > 1:
        content["front"] = described
    with replacing(space.folder / BEST) as unfinished:
        unfinished.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def files_of(space: Space) -> list[Path]:
    """Return the files of results that are there."""
    return [path for name in (CSV, BEST, PAGE) if (path := space.folder / name).is_file()]
