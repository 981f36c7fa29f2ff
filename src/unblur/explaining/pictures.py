"""Maps as pictures with a colour bar, in colours that colour-blind readers can tell apart (viridis; PuOr signed)."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from unblur.explaining.region import Region

Array = NDArray[np.floating]
MAGNITUDE, SIGNED = "viridis", "PuOr"
MARK = "#ffffff"
BAR = (0.8, 0.06, 0.03, 0.88)  # left, bottom, width and height of a colour bar as shares of the figure


def draw_map(
    values: Array,
    label: str,
    *,
    region: Region | None = None,
    under: Array | None = None,
    signed: bool = False,
    top: float | None = None,
    power: float = 1.0,
) -> bytes:
    """Return a PNG of a map (H, W).

    Args:
        values: to be shown.
        label: of the colour bar, with the unit.
        region: is marked.
        under: a picture (H, W, 3) in [0, 1] whose outlines show through.
        signed: 0 is the middle of the colours.
        top: end of the colour bar; None takes the 99.5th percentile.
        power: below 1 weak values are lifted; the colour bar says so by its ticks.
    """
    from matplotlib.colors import Normalize, PowerNorm, SymLogNorm

    top = float(np.percentile(np.abs(values), 99.5)) if top is None else top
    top = top or 1e-9
    figure, axes = _axes(values.shape, bar=True)
    if signed:
        norm: Normalize = SymLogNorm(top / 20, vmin=-top, vmax=top)
    else:
        norm = PowerNorm(power, vmin=0, vmax=top) if power != 1 else Normalize(0, top)
    image = axes.imshow(values, cmap=SIGNED if signed else MAGNITUDE, norm=norm, interpolation="nearest")
    if under is not None:
        grey = under.mean(axis=2)
        levels = np.unique(np.quantile(grey, [0.25, 0.5, 0.75]))
        levels = levels[(levels > grey.min()) & (levels < grey.max())]  # none where most is black or white
        if len(levels):
            axes.contour(grey, levels=levels, colors="0.45", linewidths=0.4)
    _mark(axes, region, "black" if signed else MARK)
    bar = figure.colorbar(image, cax=figure.add_axes(BAR))
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return _png(figure)


def draw_choice(values: NDArray[np.int64], names: Sequence[object], label: str, region: Region | None = None) -> bytes:
    """Return a PNG of a map (H, W) of which of `names` was chosen, by place: the colour bar has a field for each."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm

    figure, axes = _axes(values.shape, bar=True)
    count = len(names)
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, count)
    image = axes.imshow(values, cmap=colormaps[MAGNITUDE].resampled(count), norm=norm, interpolation="nearest")
    _mark(axes, region, MARK)
    bar = figure.colorbar(image, cax=figure.add_axes(BAR), ticks=np.arange(count), spacing="uniform")
    bar.set_label(label, fontsize=8)
    bar.ax.set_yticklabels(list(map(str, names)))
    bar.ax.tick_params(labelsize=7, length=0)
    return _png(figure)


def draw_picture(pixels: Array, region: Region | None = None) -> bytes:
    """Return a PNG of a picture (H, W, 3) in [0, 1], the region marked."""
    figure, axes = _axes(pixels.shape[:2])
    axes.imshow(np.clip(pixels, 0, 1), interpolation="nearest")
    _mark(axes, region, MARK)
    return _png(figure)


def draw_angles(degrees: Array, strength: Array) -> bytes:
    """Return a PNG of directions (H, W), 0 to 180 degrees, as short strokes: longer where `strength` is larger."""
    height, width = degrees.shape
    step = max(min(height, width) // 20, 8)
    y, x = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    angle, length = np.deg2rad(degrees[y, x]), strength[y, x]
    length = length / max(float(np.percentile(length, 98)), 1e-9)
    figure, axes = _axes(degrees.shape)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    half = 0.45 * step * np.clip(length, 0, 1)
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    axes.plot(np.stack([x - dx, x + dx]).reshape(2, -1), np.stack([y - dy, y + dy]).reshape(2, -1), "#0072b2", lw=1.3)
    return _png(figure)


def draw_curves(x: Sequence[float], curves: dict[str, Sequence[float]], label_x: str, label_y: str) -> bytes:
    """Return a PNG of curves over x; each has a line style of its own besides its colour."""
    figure = Figure(figsize=(4.6, 3.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    styles = ("-", "--", "-.", ":")
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe and Ito 2008
    for number, (name, values) in enumerate(curves.items()):
        axes.plot(x, values, styles[number % 4], color=colours[number % 6], marker="o", markersize=3, label=name)
    axes.set_xlabel(label_x, fontsize=8)
    axes.set_ylabel(label_y, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(color="0.88", linewidth=0.6)
    axes.legend(fontsize=7, frameon=False)
    return _png(figure)


def _axes(shape: Sequence[int], *, bar: bool = False):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Return a figure, and axes in it that leave room for a colour bar.

    Their places are told rather than found by matplotlib, which takes longer than the drawing.
    """
    height, width = shape[:2]
    share = BAR[0] - 0.03 if bar else 0.98
    figure = Figure(figsize=(4.6, max(4.6 * share * height / width, 1.2)), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.02, share, 0.96))
    axes.set_axis_off()
    return figure, axes


def _mark(axes, region: Region | None, colour: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    if region is not None:
        corner = region.left - 0.5, region.top - 0.5
        axes.add_patch(Rectangle(corner, region.size, region.size, fill=False, edgecolor=colour, linewidth=1.2))


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor="white")
    return stream.getvalue()
