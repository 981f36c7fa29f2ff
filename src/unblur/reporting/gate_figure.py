"""What the gate's verdict is about, as a drawing: the differences of each stratum with their intervals."""

from collections.abc import Sequence

from unblur.records.gate import StratumRow
from unblur.reporting.figure import LIGHT, blank_figure, png


def draw_strata(rows: Sequence[StratumRow], unit: str) -> bytes:
    """Draw gain over the blurred input and difference to the champion of each stratum, the first on top, as PNG.

    A point is the mean, its line the interval; strata without an interval are left out.
    """
    shown = [row for row in rows if row.gain][::-1]
    figure, axes = blank_figure(LIGHT, height=1.6 + 0.3 * len(shown))
    for label, colour, shift in (("gain", LIGHT.model, 0.12), ("against", LIGHT.quiet, -0.12)):
        points = [(at + shift, each) for at, row in enumerate(shown) if (each := getattr(row, label))]
        if points:
            heights, means = [at for at, _ in points], [each[0] for _, each in points]
            lines = [
                [max(0.0, each[0] - each[1]) for _, each in points],
                [max(0.0, each[2] - each[0]) for _, each in points],
            ]
            words = "gain over the blurred input" if label == "gain" else "difference to the champion"
            axes.errorbar(means, heights, xerr=lines, fmt="o", markersize=4, color=colour, label=words)
    axes.axvline(0, color=LIGHT.ink, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [f"{row.name} ({row.pairs})" for row in shown])
    axes.set_xlabel(f"{unit or 'difference'}, with intervals", color=LIGHT.ink)
    if shown:
        axes.legend(fontsize=8, labelcolor=LIGHT.ink, frameon=False)
    return png(figure)
