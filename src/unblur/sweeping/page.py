"""The page of a sweep: one self-contained file with its table and drawings, no scripts, no outside address."""

import base64
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

import optuna
from jinja2 import Environment, StrictUndefined
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from unblur.reporting.figure import DARK, LIGHT, Theme
from unblur.safety.atomic import replacing
from unblur.sweeping.plots import draw_curves, draw_front, draw_history, draw_importances, draw_parameter
from unblur.sweeping.results import (
    PAGE,
    UNITS,
    best_trials,
    command_of,
    minutes,
    ranked,
    shown,
    state_of,
    values_of,
    values_shown,
)
from unblur.sweeping.space import Space
from unblur.sweeping.study import retried

FEWEST = 10
"""Trials that are done, below which nothing can be said of importance: the best tenth is two of them at least."""


def write_page(space: Space, study: optuna.Study) -> None:
    """Write sweep.html, whole or not at all."""
    template = files("unblur.sweeping").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    trials, front = ranked(space, study), best_trials(study)
    lost = retried(trials)
    best = {trial.number for trial in front}
    page = environment.from_string(template).render(
        space=space,
        objectives=[f"{name} ({UNITS[name]}, {direction})" for name, direction in space.objectives.items()],
        counts=_counts(trials, lost),
        front=[
            {"number": trial.number, "figures": _values(space, trial), "command": command_of(space, trial)}
            for trial in front
        ],
        rows=[
            {
                "number": trial.number,
                "state": state_of(trial, lost),
                "best": trial.number in best,
                "figures": [shown(name, value) for name, value in values_of(space, trial).items()],
                "varied": values_shown(space, trial),
                "minutes": "-" if minutes(trial) is None else f"{minutes(trial):.1f}",
                "error": trial.user_attrs.get("error", ""),
            }
            for trial in trials
        ],
        plots=_plots(space, study),
    )
    with replacing(space.folder / PAGE) as unfinished:
        unfinished.write_text(page, encoding="utf-8")


def importances(study: optuna.Study) -> dict[str, float]:
    """Return the share of each parameter, the largest first (PED-ANOVA, Watanabe et al. 2023, IJCAI).

    Empty where fewer than `FEWEST` trials are done, or all are alike.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < FEWEST or len({trial.values[0] for trial in done}) < 2:
        return {}
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


def _values(space: Space, trial: FrozenTrial) -> str:
    return ", ".join(f"{name} {shown(name, value)} {UNITS[name]}" for name, value in values_of(space, trial).items())


def _counts(trials: list[FrozenTrial], lost: set[int]) -> str:
    states = [state_of(trial, lost) for trial in trials]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _plots(space: Space, study: optuna.Study) -> list[dict[str, Any]]:
    """Return the drawings as {title, about, light, dark}; those that would be empty are left out."""
    trials = study.get_trials(deepcopy=False)
    names = [f"{name} ({UNITS[name]})" for name in space.objectives]
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    found: list[tuple[str, str, Callable[[Theme], bytes]]] = []
    if done:
        maximize = space.objectives[next(iter(space.objectives))] == "maximize"
        about = f"{names[0]} of each trial that is done, and the best so far."
        found.append(("History", about, partial(draw_history, trials, names[0], maximize)))
    for axis in range(1, len(names) if done else 0):
        about = f"{names[0]} against {names[axis]}. A star: no other trial is better in one and as good in all others."
        found.append(("Pareto front", about, partial(draw_front, trials, best_trials(study), names, axis)))
    if shares := importances(study):
        about = f"Share of each in what tells the best of {len(done)} trials from the others (PED-ANOVA)."
        found.append(("Importance", about, partial(draw_importances, shares)))
    if any(trial.intermediate_values for trial in trials):
        about = f"{names[0]} at each validation; pale: ended early."
        found.append(("Curves", about, partial(draw_curves, trials, names[0])))
    for each in space.parameters if done else ():
        drawn = partial(draw_parameter, trials, each.key, names[0], each.log)
        found.append((each.key, f"{names[0]} against {each.key}, a dot for each trial that is done.", drawn))
    return [
        {"title": title, "about": about, "light": _embedded(draw(LIGHT)), "dark": _embedded(draw(DARK))}
        for title, about, draw in found
    ]


def _embedded(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
