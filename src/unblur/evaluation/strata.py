"""Where a method gains and where it harms: means by the kind of blur and by its strength."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unblur.evaluation.score_table import gains
from unblur.records.scores import BLURRED, Score, StratumMeans

NEARLY_SHARP = "nearly sharp"
STRENGTH_BINS = (NEARLY_SHARP, "2 to 8 px", "8 to 14 px", "over 14 px", "not known")
By = Literal["strength", "kind"]


@dataclass(frozen=True)
class Stratum:
    """The pairs that have one property in common, and the mean of a method and of its reference on them.

    `gain` is their difference, `improved` the number of pairs on which the method is better than the reference.
    """

    by: By
    name: str
    pairs: int
    reference: float
    value: float
    gain: float
    improved: int


def strength_bin(kind: str, strength: float) -> str:
    """Return the name of the bin: nearly sharp (no blur, or a PSF under 2 px), 2 to 8, 8 to 14, over 14, not known.

    The strength of a camera's own blur is NaN: nobody knows it.
    """
    if math.isnan(strength):
        return STRENGTH_BINS[4]
    if kind == "identity" or strength < 2:
        return NEARLY_SHARP
    if strength < 8:
        return STRENGTH_BINS[1]
    return STRENGTH_BINS[2] if strength <= 14 else STRENGTH_BINS[3]


def describe_blur(kind: str, strength: float) -> str:
    """Return kind and strength as words: "shake, 7.2 px", "no blur", "gopro"."""
    if kind == "identity":
        return "no blur"
    return kind if math.isnan(strength) else f"{kind}, {strength:.1f} px"


def strata(scores: Sequence[Score], method: str, profile: str, reference: str = BLURRED) -> list[Stratum]:
    """Return the bins of strength, mildest first, then the kinds of blur by name. Empty ones are left out.

    Raises:
        UnblurError: `method` and `reference` were not scored on the same pairs under `profile`.
    """
    differences = gains(scores, method, profile, reference)
    value = {score.pair: score.value for score in scores if (score.method, score.profile) == (method, profile)}
    groups: dict[tuple[By, str], list[Score]] = {("strength", name): [] for name in STRENGTH_BINS}
    groups |= {("kind", kind): [] for kind in sorted({score.kind for score in differences})}
    for score in differences:
        groups["strength", strength_bin(score.kind, score.strength)].append(score)
        groups["kind", score.kind].append(score)
    return [_stratum(by, name, group, value) for (by, name), group in groups.items() if group]


def nearly_sharp_change(found: Sequence[Stratum]) -> float | None:
    """Return the mean gain on nearly sharp pairs (negative: they were damaged), None without such pairs."""
    return next((stratum.gain for stratum in found if stratum.name == NEARLY_SHARP), None)


def as_nested(found: Sequence[Stratum]) -> dict[str, dict[str, StratumMeans]]:
    """Return {"strength": {bin: means}, "kind": {kind: means}}."""
    nested: dict[str, dict[str, StratumMeans]] = {}
    for each in found:
        means = StratumMeans(each.pairs, each.reference, each.value, each.gain, each.improved)
        nested.setdefault(each.by, {})[each.name] = means
    return nested


def _stratum(by: By, name: str, group: list[Score], value: dict[str, float]) -> Stratum:
    mean = sum(value[score.pair] for score in group) / len(group)
    gain = sum(score.value for score in group) / len(group)
    improved = sum(score.value > 0 for score in group)
    return Stratum(by, name, len(group), mean - gain, mean, gain, improved)
