"""Drawings of a sweep: how far it has come, what matters, the Pareto front, and the curves of its trials."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from unblur.reporting.figure import Theme, blank_figure, png

MOST_CURVES = 60


def draw_history(trials: Sequence[FrozenTrial], objective: str, maximize: bool, theme: Theme) -> bytes:
    """Draw the first objective of each trial that is done, and the best so far as a line."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    figure, axes = blank_figure(theme)
    numbers, values = [trial.number for trial in done], [trial.values[0] for trial in done]
    axes.scatter(numbers, values, s=30, color=theme.quiet, linewidths=0, label="a trial")
    best = (np.maximum if maximize else np.minimum).accumulate(values)
    axes.step(numbers, best, where="post", color=theme.model, linewidth=2, label="the best so far")
    axes.set_xlabel("trial", color=theme.ink)
    axes.set_ylabel(objective, color=theme.ink)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9)
    return png(figure)


def draw_importances(importances: Mapping[str, float], theme: Theme) -> bytes:
    """Draw the share of each parameter in what tells the best trials from the others, the largest on top."""
    names = list(importances)[::-1]
    figure, axes = blank_figure(theme, height=1.2 + 0.4 * len(names))
    axes.barh(names, [importances[name] for name in names], height=0.6, color=theme.model)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share", color=theme.ink)
    return png(figure)


def draw_front(
    trials: Sequence[FrozenTrial], front: Sequence[FrozenTrial], names: Sequence[str], axis: int, theme: Theme
) -> bytes:
    """Draw the first objective against another one; the Pareto front is marked with the trials' numbers."""
    figure, axes = blank_figure(theme, height=4.4)
    best = {trial.number for trial in front}
    for trial in trials:
        if trial.state != TrialState.COMPLETE:
            continue
        marked = trial.number in best
        point = trial.values[axis], trial.values[0]
        axes.scatter(*point, s=70 if marked else 26, color=theme.model if marked else theme.quiet,
                     marker="*" if marked else "o", linewidths=0)  # fmt: skip
        if marked:
            axes.annotate(str(trial.number), point, xytext=(5, 5), textcoords="offset points", color=theme.ink)
    axes.set_xlabel(names[axis], color=theme.ink)
    axes.set_ylabel(names[0], color=theme.ink)
    axes.margins(0.15)
    return png(figure)


def draw_curves(trials: Sequence[FrozenTrial], objective: str, theme: Theme) -> bytes:
    """Draw what each trial has reported over its epochs; those that ended early are pale."""
    figure, axes = blank_figure(theme)
    for trial in [each for each in trials if each.intermediate_values][-MOST_CURVES:]:
        points = sorted(trial.intermediate_values.items())
        early = trial.state != TrialState.COMPLETE
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1.2,
                  color=theme.quiet if early else theme.model, alpha=0.5 if early else 0.85)  # fmt: skip
    axes.set_xlabel("epoch", color=theme.ink)
    axes.set_ylabel(objective, color=theme.ink)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return png(figure)


def draw_parameter(trials: Sequence[FrozenTrial], key: str, objective: str, log: bool, theme: Theme) -> bytes:
    """Draw the first objective against one parameter, a dot for each trial that is done."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE and key in trial.params]
    figure, axes = blank_figure(theme)
    values = [trial.params[key] for trial in done]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    axes.scatter(values if numbers else list(map(str, values)), [trial.values[0] for trial in done], s=34,
                 color=theme.model, alpha=0.8, linewidths=0)  # fmt: skip
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(key, color=theme.ink)
    axes.set_ylabel(objective, color=theme.ink)
    return png(figure)
