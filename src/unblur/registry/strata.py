"""The candidate stratum by stratum: kind and strength of blur, brightness, and how hard the pair is."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unblur.data.manifest import PairRow
from unblur.evaluation.bootstrap import paired_bootstrap
from unblur.evaluation.strata import STRENGTH_BINS, strength_bin
from unblur.records.gate import StratumRow

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEWEST = 3
"""Scenes that a stratum has to have before an interval says anything."""
DARK, BRIGHT = 0.25, 0.5  # mean of the blurred input's sRGB values


def strata_masks(rows: Sequence[PairRow], brightness: Sequence[float], blurred: Values) -> dict[str, Mask]:
    """Return which pairs belong to each stratum, (N,) each; empty strata are left out.

    Args:
        rows: the pairs.
        brightness: mean of each blurred input, in [0, 1].
        blurred: score of each blurred input; the thirds of it are easy, medium and hard.
    """
    kinds = np.array([row.kind for row in rows])
    bins = np.array([strength_bin(row.kind, row.strength) for row in rows])
    light = np.asarray(brightness)
    found = {f"kind: {kind}": kinds == kind for kind in sorted(set(kinds))}
    found |= {f"strength: {name}": bins == name for name in STRENGTH_BINS}
    found |= {
        "brightness: dark": light < DARK,
        "brightness: medium": (light >= DARK) & (light < BRIGHT),
        "brightness: bright": light >= BRIGHT,
    }
    rank = np.argsort(np.argsort(-blurred, kind="stable"), kind="stable") * 3 // max(1, len(rows))
    found |= {f"difficulty: {name}": rank == third for third, name in enumerate(("easy", "medium", "hard"))}
    return {name: mask for name, mask in found.items() if mask.any()}


def strata_rows(
    masks: Mapping[str, Mask],
    scenes: Sequence[str],
    blurred: Values,
    candidate: Values,
    champion: Values | None,
    *,
    confidence: float,
    samples: int,
    seed: int,
) -> list[StratumRow]:
    """Return a row a stratum, "all" first: the gain over the blurred input and the difference to the champion.

    The intervals of the differences hold for all strata together (Bonferroni): with a dozen of them at 95 % each, one
    would seem to have lost something in every second comparison. Strata of under three scenes get none.
    """
    of = np.asarray(scenes)
    judged = sum(len(set(of[mask])) >= FEWEST for mask in masks.values())
    together = 1 - (1 - confidence) / max(1, judged)
    rows = []
    for name, mask in {"all": np.ones(len(blurred), bool), **masks}.items():
        level = confidence if name == "all" else together
        gain = _interval(candidate[mask] - blurred[mask], of[mask], confidence, samples, seed)
        against = (
            None if champion is None else _interval(candidate[mask] - champion[mask], of[mask], level, samples, seed)
        )
        means = float(blurred[mask].mean()), float(candidate[mask].mean())
        rows.append(StratumRow(name, int(mask.sum()), *means, gain, against))
    return rows


def _interval(
    differences: Values, scenes: NDArray[np.str_], confidence: float, samples: int, seed: int
) -> list[float] | None:
    if len(set(scenes)) < FEWEST or not np.isfinite(differences).all():
        return None
    found = paired_bootstrap(differences, list(scenes), confidence, samples, seed)
    return [found.mean, found.low, found.high]
