"""A drawing on a transparent ground, in the colours of a light or a dark page."""

import io
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """The colours of one drawing; the background stays transparent."""

    ink: str
    grid: str
    model: str
    quiet: str


LIGHT = Theme(ink="#3c3c43", grid="#d8d8dc", model="#0b6e75", quiet="#8a8a92")
DARK = Theme(ink="#c9c9d1", grid="#3a3a42", model="#4fc3c9", quiet="#85858f")


def blank_figure(theme: Theme, height: float = 3.6) -> tuple[Figure, Axes]:
    """Return a figure, 6.4 inches wide and `height` inches high, and its axes."""
    figure = Figure(figsize=(6.4, height), dpi=150, layout="constrained", facecolor="none")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    style_axes(axes, theme)
    return figure, axes


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", transparent=True)
    return stream.getvalue()


def style_axes(axes: Axes, theme: Theme) -> None:
    """Give axes the colours of a theme, and a grid behind what is drawn."""
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.grid(color=theme.grid, linewidth=0.7)
    axes.tick_params(colors=theme.ink, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
