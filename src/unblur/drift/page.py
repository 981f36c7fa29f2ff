"""The page of a comparison: one self-contained HTML document with a table and a drawing a statistic."""

import base64
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined

from unblur.drift.compare import Comparison
from unblur.drift.statistics import STATISTICS, Statistic
from unblur.drift.window import Window
from unblur.reporting.figure import DARK, LIGHT, Theme, blank_figure, png

MOST_CATEGORIES = 8
BARS = 30


def render(
    window: Window, reference: Window, found: Sequence[Comparison], notes: Sequence[str], next_: Sequence[str]
) -> str:
    """Return the page: what has drifted, by how much, both distributions of each statistic, and what to do next."""
    template = files("unblur.drift").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    statistics = {each.name: each for each in STATISTICS}
    rows = [{"of": each, "p": shown_p(each.p), "psi": f"{each.psi:.2f}", "verdict": verdict(each)} for each in found]
    plots = [
        {
            "of": each,
            "light": _data(_draw(statistics[each.name], window, reference, LIGHT)),
            "dark": _data(_draw(statistics[each.name], window, reference, DARK)),
        }
        for each in found
    ]
    return environment.from_string(template).render(
        window=window,
        reference=reference,
        sizes=(len(window), len(reference)),
        drifted=[each for each in found if each.drifted],
        rows=rows,
        plots=plots,
        notes=notes,
        next_=next_,
    )


def verdict(found: Comparison) -> str:
    """Say in a word what has come of a comparison."""
    return "drift" if found.drifted else "" if found.judged else "not judged"


def shown_p(p: float) -> str:
    """Write a p-value as people read it."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def _data(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def _draw(statistic: Statistic, window: Window, reference: Window, theme: Theme) -> bytes:
    """Draw the shares of photographs in both, the reference filled, the window as a line."""
    figure, axes = blank_figure(theme, 2.4)
    if statistic.category:
        texts = window.categories(statistic.name), reference.categories(statistic.name)
        names, counts = np.unique(np.concatenate(texts), return_counts=True)
        names = names[np.argsort(-counts, kind="stable")][:MOST_CATEGORIES]
        shares = [[(each == name).mean() for name in names] for each in texts]
        places = np.arange(len(names))
        axes.bar(places - 0.2, shares[1], 0.38, color=theme.quiet, alpha=0.6, label="reference")
        axes.bar(places + 0.2, shares[0], 0.38, color=theme.model, label="window")
        axes.set_xticks(places, list(names))
    else:
        numbers = window.numbers(statistic.name), reference.numbers(statistic.name)
        low, high = np.quantile(np.concatenate(numbers), [0.002, 0.998])  # a stray value would leave nothing to see
        room = 0 if high > low else max(abs(low), 1) / 2  # where all have one value
        edges = np.linspace(low - room, high + room, BARS + 1)
        bars = [np.histogram(np.clip(each, edges[0], edges[-1]), edges)[0] / len(each) for each in numbers]
        axes.stairs(bars[1], edges, fill=True, color=theme.quiet, alpha=0.5, label="reference")
        axes.stairs(bars[0], edges, color=theme.model, linewidth=2, label="window")
    axes.set_ylabel("share of photographs", color=theme.ink, fontsize=9)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9)
    return png(figure)
