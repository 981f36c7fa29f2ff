"""Drawings for the HTML report, on light and on dark: gains by strength and by pair, and the training curve."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from unblur.records.scores import MODEL, Score
from unblur.records.training import Step
from unblur.reporting.figure import Theme, blank_figure, png, style_axes
from unblur.reporting.plot_data import strength_bin_rows, strength_gain_rows


def draw_strength_bins(scores: Sequence[Score], profile: str, unit: str, theme: Theme) -> bytes:
    """Draw the mean gain over the blurred input by strength, the model's bars among those of the baselines."""
    rows = strength_bin_rows(scores, profile)
    bins = list(dict.fromkeys(str(row["strength"]) for row in rows))
    methods = sorted(dict.fromkeys(str(row["method"]) for row in rows), key=lambda name: name != MODEL)
    figure, axes = blank_figure(theme)
    width = 0.8 / len(methods)
    for index, method in enumerate(methods):
        heights = [float(row["gain"] or 0) for row in rows if row["method"] == method]
        places = [place - 0.4 + width * (index + 0.5) for place in range(len(bins))]
        # Told apart by lightness, so that it also reads in grey.
        colour, strength = (theme.model, 1.0) if method == MODEL else (theme.quiet, 1.0 - 0.25 * (index - 1))
        axes.bar(places, heights, width * 0.92, color=colour, alpha=max(0.25, strength), label=method.replace("_", "-"))
    axes.axhline(0, color=theme.ink, linewidth=1)
    # A baseline may lose 15 dB on nearly sharp pairs; linear within 3, compressed beyond, keeps the rest readable.
    axes.set_yscale("symlog", linthresh=3, linscale=2)
    ticks = [tick for tick in (-20, -10, -5, -2, -1, 0, 1, 2, 5, 10) if _within(tick, axes)]
    axes.set_yticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
    axes.minorticks_off()
    axes.set_xticks(range(len(bins)), bins)
    axes.set_ylabel(f"gain over the blurred input ({unit})", color=theme.ink)
    axes.legend(frameon=False, labelcolor=theme.ink, ncols=2, fontsize=9)
    return png(figure)


def draw_gains(scores: Sequence[Score], profile: str, unit: str, theme: Theme) -> bytes:
    """Draw one dot a pair: the blurred input against the model's gain; below the line the model did harm."""
    rows = strength_gain_rows(scores, profile)
    kinds = sorted({str(row["kind"]) for row in rows})
    figure, axes = blank_figure(theme)
    for kind, marker in zip(kinds, "osD^vPX*" * (1 + len(kinds) // 8), strict=False):
        chosen = [row for row in rows if row["kind"] == kind]
        x, y = ([float(row[name] or 0) for row in chosen] for name in ("blurred", "gain"))
        axes.scatter(x, y, s=30, marker=marker, color=theme.model, alpha=0.75, linewidths=0, label=kind)
    axes.axhline(0, color=theme.ink, linewidth=1)
    axes.set_xlabel(f"blurred input ({unit})", color=theme.ink)
    axes.set_ylabel(f"gain of the model ({unit})", color=theme.ink)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9)
    return png(figure)


def draw_training(history: Sequence[Step], theme: Theme) -> bytes:
    """Draw the validation PSNR and, on its own axis, the training loss over the steps."""
    figure, axes = blank_figure(theme)
    loss_axes = axes.twinx()
    style_axes(loss_axes, theme)
    loss_axes.grid(visible=False)
    loss = [(row.step, row.train_loss) for row in history if row.train_loss is not None]
    psnr = [(row.step, row.val_psnr) for row in history if row.val_psnr is not None]
    loss_axes.plot(*zip(*loss, strict=True), color=theme.quiet, linewidth=1.5, linestyle="--") if loss else None
    axes.plot(*zip(*psnr, strict=True), color=theme.model, linewidth=2, marker="o", markersize=3) if psnr else None
    axes.set_xlabel("step", color=theme.ink)
    axes.set_ylabel("validation PSNR (dB), solid", color=theme.model)
    loss_axes.set_ylabel("training loss, dashed", color=theme.quiet)
    return png(figure)


def _within(tick: float, axes: Axes) -> bool:
    low, high = axes.get_ylim()
    return bool(low <= tick <= high)
