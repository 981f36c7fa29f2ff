"""Which candidate is deployed: the fastest within the budget, but never by noise.

Two runs of the same benchmark on the same files have other medians. So candidates are compared by what they took in the
same rounds, one after the other: the mean of the logarithms of the ratios, with Student's interval of 95 %. A candidate
is slower only if the whole interval lies above the margin; those that the machine cannot tell apart are tied. Of the
tied ones the last choice stays, so that nothing new is registered for nothing; else the smallest file is taken.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from unblur.benchmark.latency import Latency, large
from unblur.errors import UnblurError
from unblur.records.latency import LatencyRow

CONFIDENCE = 0.95

Name = tuple[str, str]
"""Model and runtime."""


@dataclass(frozen=True)
class Choice:
    """The candidate that is deployed, and why; `tied` are those that the machine cannot tell from the fastest."""

    name: Name
    why: str
    tied: tuple[Name, ...]

    def mark(self, rows: Sequence[LatencyRow]) -> list[LatencyRow]:
        """Return the rows, those of the choice marked."""
        return [replace(row, chosen="yes") if (row.variant, row.runtime) == self.name else row for row in rows]


def choose(
    rows: Sequence[LatencyRow],
    latencies: Sequence[Latency],
    candidates: Collection[Name],
    max_lost_db: float,
    *,
    margin: float = 0.0,
    last: Name | None = None,
) -> Choice:
    """Choose among the candidates within the budget.

    Decided at the largest size that goes through in one piece; what is larger is measured in fewer rounds.

    Args:
        rows: of `join`.
        latencies: of `measure_latency`, of the same measurement.
        candidates: (model, runtime) of what can be deployed.
        max_lost_db: what it may lose on the validation pairs.
        margin: by how much, as a share of the time, one has to be faster to count as that.
        last: what was chosen before.

    Raises:
        UnblurError: no candidate keeps to the budget.
    """
    whole = [row for row in rows if not large((row.height, row.width))] or list(rows)
    largest = max(row.height * row.width for row in whole)
    kept = {
        (row.variant, row.runtime): row
        for row in rows
        if (row.variant, row.runtime) in candidates and row.lost_db <= max_lost_db and row.height * row.width == largest
    }
    if not kept:
        found = {(row.variant, row.runtime): row.lost_db for row in rows if (row.variant, row.runtime) in candidates}
        lost = ", ".join(f"{variant} {runtime} {db:.3f}" for (variant, runtime), db in found.items())
        msg = f"nothing loses at most {max_lost_db:g} dB on the validation pairs ({lost}); raise the limit"
        raise UnblurError(msg)
    rounds = {each.name: each.rounds_ms for each in latencies if each.height * each.width == largest}
    fastest = min(kept, key=lambda name: kept[name].median_ms)
    tied = tuple(name for name in kept if name == fastest or not _slower(rounds, name, fastest, margin))
    if len(tied) == 1:
        return Choice(fastest, "it is the fastest", tied)
    if last in tied:
        return Choice(last, "the last choice stays: no other one is certainly faster", tied)
    smallest = min(tied, key=lambda name: (kept[name].file_mb, kept[name].median_ms))
    return Choice(smallest, "the smallest of those that are equally fast", tied)


def ratio_interval(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float]:
    """Return the interval of 95 % of how many times as long `slow` took as `fast`, by pairs of the same rounds.

    With one round alone nothing is known: 0 to infinity.
    """
    logs = np.log(np.asarray(slow) / np.asarray(fast))
    if len(logs) < 2:
        return 0.0, math.inf
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
    return float(np.exp(logs.mean() - half)), float(np.exp(logs.mean() + half))


def _slower(rounds: Mapping[str, Sequence[float]], name: Name, fastest: Name, margin: float) -> bool:
    low, _ = ratio_interval(rounds[" ".join(name)], rounds[" ".join(fastest)])
    return low > 1 + margin
