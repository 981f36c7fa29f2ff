"""Plots of an evaluation: CSV files for `dvc plots`, and drawings for the HTML report on light and on dark."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unblur.errors import UnblurError
from unblur.evaluation.score_table import BLURRED, MODEL, Score, gains
from unblur.evaluation.strata import strata
from unblur.safety.atomic import replacing

Row = Mapping[str, str | int | float | None]
History = Sequence[Mapping[str, float | None]]

STRENGTH_GAIN_COLUMNS = ("pair", "kind", "strength", "blurred", "model", "gain")
STRENGTH_BIN_COLUMNS = ("method", "strength", "pairs", "gain")
HISTORY_COLUMNS = ("step", "train_loss", "val_psnr")


WHOLE = 2_000_000
"""Pixels from which on the benchmark restores in tiles."""
ALIKE = 0.005
"""Difference in dB that nobody sees."""


@dataclass(frozen=True)
class Theme:
    """The colours of one drawing; the background stays transparent."""

    ink: str
    grid: str
    model: str
    quiet: str


LIGHT = Theme(ink="#3c3c43", grid="#d8d8dc", model="#0b6e75", quiet="#8a8a92")
DARK = Theme(ink="#c9c9d1", grid="#3a3a42", model="#4fc3c9", quiet="#85858f")


def strength_bin_rows(scores: Sequence[Score], profile: str) -> list[Row]:
    """Return the mean gain of every method in every bin of strength: method, strength, pairs, gain."""
    methods = dict.fromkeys(score.method for score in scores if score.method != BLURRED)
    return [
        {"method": method, "strength": stratum.name, "pairs": stratum.pairs, "gain": round(stratum.gain, 4)}
        for method in methods
        for stratum in strata(scores, method, profile)
        if stratum.by == "strength"
    ]


def strength_gain_rows(scores: Sequence[Score], profile: str) -> list[Row]:
    """Return the model's gain on every pair: pair, kind, strength, blurred, model, gain."""
    before = {score.pair: score.value for score in scores if (score.method, score.profile) == (BLURRED, profile)}
    return [
        {
            "pair": score.pair,
            "kind": score.kind,
            "strength": round(score.strength, 2),
            "blurred": round(before[score.pair], 4),
            "model": round(before[score.pair] + score.value, 4),
            "gain": round(score.value, 4),
        }
        for score in gains(scores, MODEL, profile)
    ]


def read_history(path: Path) -> list[dict[str, float | None]]:
    """Read a training curve (step, train_loss, val_psnr); an empty cell is None. A missing file is an empty curve.

    Raises:
        UnblurError: other columns, or a cell that is no number.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        try:
            return [{name: float(row[name]) if row[name] else None for name in HISTORY_COLUMNS} for row in reader]
        except (KeyError, ValueError) as error:
            expected = ",".join(HISTORY_COLUMNS)
            msg = f"{path}, line {reader.line_num}: {error}; expected the columns {expected}; run `unblur train` again"
            raise UnblurError(msg) from error


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Write a CSV file."""
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_strength_gain(path: Path, scores: Sequence[Score], profile: str) -> None:
    """Write one row a pair: its blur and what the model gained."""
    write_rows(path, STRENGTH_GAIN_COLUMNS, strength_gain_rows(scores, profile))


def write_strength_bins(path: Path, scores: Sequence[Score], profile: str) -> None:
    """Write one row for each method and bin of strength."""
    write_rows(path, STRENGTH_BIN_COLUMNS, strength_bin_rows(scores, profile))


def write_training(path: Path, history: History) -> None:
    """Write the training curve; its header alone where there is none."""
    write_rows(path, HISTORY_COLUMNS, history)


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


def draw_training(history: History, theme: Theme) -> bytes:
    """Draw the validation PSNR and, on its own axis, the training loss over the steps."""
    figure, axes = blank_figure(theme)
    loss_axes = axes.twinx()
    _style(loss_axes, theme)
    loss_axes.grid(visible=False)
    loss = [(row["step"], row["train_loss"]) for row in history if row["train_loss"] is not None]
    psnr = [(row["step"], row["val_psnr"]) for row in history if row["val_psnr"] is not None]
    loss_axes.plot(*zip(*loss, strict=True), color=theme.quiet, linewidth=1.5, linestyle="--") if loss else None
    axes.plot(*zip(*psnr, strict=True), color=theme.model, linewidth=2, marker="o", markersize=3) if psnr else None
    axes.set_xlabel("step", color=theme.ink)
    axes.set_ylabel("validation PSNR (dB), solid", color=theme.model)
    loss_axes.set_ylabel("training loss, dashed", color=theme.quiet)
    return png(figure)


def draw_pareto(latency: Sequence[Mapping[str, str]], theme: Theme) -> bytes:
    """Draw PSNR on the test pairs against latency at the largest size that goes through in one piece.

    One point for each model and runtime; a star is deployed. Those have a name than which none is faster and as good.
    """
    figure, axes = blank_figure(theme, height=4.4)
    by_size = sorted(latency, key=lambda row: int(row["height"]) * int(row["width"]))
    whole = [row for row in by_size if int(row["height"]) * int(row["width"]) <= WHOLE]
    largest = (whole or by_size[:1])[-1]
    size = largest["height"], largest["width"]
    points = [
        (float(row["median_ms"]), float(row["psnr"]), row) for row in latency if (row["height"], row["width"]) == size
    ]
    first = points[0][2]
    for ms, psnr, row in points:
        axes.scatter(ms, psnr, s=110 if row["chosen"] else 26, color=theme.model if row["chosen"] else theme.quiet,
                     marker="*" if row["chosen"] else "o")  # fmt: skip
        beaten = any(other < ms and better > psnr - ALIKE for other, better, _ in points)
        if beaten and not row["chosen"] and row is not first:
            continue
        axes.annotate(
            f"{row['variant']}, {row['runtime']}",
            (ms, psnr),
            xytext=(6, 5),
            textcoords="offset points",
            color=theme.ink,
            fontsize=8,
            rotation=20,
        )
    axes.set_xscale("log")
    axes.set_xlabel(f"median ms at {largest['width']} x {largest['height']}, log scale", color=theme.ink)
    axes.set_ylabel("PSNR on the test pairs (dB)", color=theme.ink)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.margins(0.25)
    return png(figure)


def blank_figure(theme: Theme, height: float = 3.6) -> tuple[Figure, Axes]:
    """Return a figure, 6.4 inches wide and `height` inches high, and its axes."""
    figure = Figure(figsize=(6.4, height), dpi=150, layout="constrained", facecolor="none")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _style(axes, theme)
    return figure, axes


def _style(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.grid(color=theme.grid, linewidth=0.7)
    axes.tick_params(colors=theme.ink, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _within(tick: float, axes: Axes) -> bool:
    low, high = axes.get_ylim()
    return bool(low <= tick <= high)


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", transparent=True)
    return stream.getvalue()
