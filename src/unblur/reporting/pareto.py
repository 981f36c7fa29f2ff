"""The drawing of quality against latency, one point for each model and runtime."""

from collections.abc import Sequence

from unblur.records.latency import WHOLE, LatencyRow
from unblur.reporting.figure import Theme, blank_figure, png

ALIKE = 0.005
"""Difference in dB that nobody sees."""


def draw_pareto(latency: Sequence[LatencyRow], theme: Theme) -> bytes:
    """Draw PSNR on the validation pairs against latency at the largest size that goes through in one piece.

    One point for each model and runtime; a star is deployed. Those have a name than which none is faster and as good.
    """
    figure, axes = blank_figure(theme, height=4.4)
    by_size = sorted(latency, key=lambda row: row.pixels)
    whole = [row for row in by_size if row.pixels <= WHOLE]
    largest = (whole or by_size[:1])[-1]
    size = largest.height, largest.width
    points = [(row.median_ms, row.psnr, row) for row in latency if (row.height, row.width) == size]
    first = points[0][2]
    for ms, psnr, row in points:
        axes.scatter(ms, psnr, s=110 if row.chosen else 26, color=theme.model if row.chosen else theme.quiet,
                     marker="*" if row.chosen else "o")  # fmt: skip
        beaten = any(other < ms and better > psnr - ALIKE for other, better, _ in points)
        if beaten and not row.chosen and row is not first:
            continue
        axes.annotate(
            f"{row.variant}, {row.runtime}",
            (ms, psnr),
            xytext=(6, 5),
            textcoords="offset points",
            color=theme.ink,
            fontsize=8,
            rotation=20,
        )
    axes.set_xscale("log")
    axes.set_xlabel(f"median ms at {largest.width} x {largest.height}, log scale", color=theme.ink)
    axes.set_ylabel("PSNR on the validation pairs (dB)", color=theme.ink)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.margins(0.25)
    return png(figure)
