"""The cost of quantizing each part of a network, as a table and as a drawing."""

from collections.abc import Sequence
from pathlib import Path

from unblur.compression.budget import PartCost
from unblur.records.files import write_table
from unblur.reporting.figure import LIGHT, blank_figure, png

SHOWN = 24
"""Parts that are drawn at most: the worst."""


def write_sensitivity(parts: Sequence[PartCost], path: Path) -> None:
    """Write the parts as CSV."""
    write_table(path, PartCost, parts)


def draw_sensitivity(parts: Sequence[PartCost]) -> bytes:
    """Draw what each part loses when it alone is quantized, the worst on top, as PNG."""
    shown = parts[:SHOWN][::-1]
    figure, axes = blank_figure(LIGHT, height=1.2 + 0.22 * len(shown))
    axes.barh([part.part for part in shown], [1000 * part.lost_db for part in shown], color=LIGHT.model)
    axes.set_xlabel("lost when quantized alone (thousandths of a dB)", color=LIGHT.ink)
    return png(figure)
