"""Scores averaged, as gains and ranked. Imports no torch."""

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import TypeVar

from unblur.errors import UnblurError
from unblur.records.scores import BLURRED, GUARDED, MODEL, Score

K = TypeVar("K", bound=Hashable)


def mean_by(scores: Iterable[Score], key: Callable[[Score], K]) -> dict[K, float]:
    """Return the mean value of each group, groups in the order of their first score."""
    groups: dict[K, list[float]] = {}
    for score in scores:
        groups.setdefault(key(score), []).append(score.value)
    return {name: math.fsum(values) / len(values) for name, values in groups.items()}


def mean_table(scores: Iterable[Score]) -> dict[str, dict[str, float]]:
    """Return the mean over all pairs as {method: {profile: mean}}."""
    table: dict[str, dict[str, float]] = {}
    for (method, profile), mean in mean_by(scores, lambda score: (score.method, score.profile)).items():
        table.setdefault(method, {})[profile] = mean
    return table


def gains(scores: Iterable[Score], method: str, profile: str, reference: str = BLURRED) -> list[Score]:
    """Return the scores of `method` minus those of `reference` on the same pairs, in the unit of `profile`.

    Raises:
        UnblurError: `method` or `reference` has no scores under `profile`, or they were scored on different pairs.
    """
    chosen = [score for score in scores if score.profile == profile]
    ours = {score.pair: score for score in chosen if score.method == method}
    theirs = {score.pair: score.value for score in chosen if score.method == reference}
    for name, found in ((method, ours), (reference, theirs)):
        if not found:
            known = ", ".join(sorted({f"{score.method} ({score.profile})" for score in chosen})) or "none"
            msg = f"there are no scores of {name!r} under {profile!r}; those there are: {known}"
            raise UnblurError(msg)
    if ours.keys() != theirs.keys():
        alone = ", ".join(sorted(ours.keys() ^ theirs.keys())[:3])
        msg = f"{method!r} and {reference!r} were scored on different pairs ({alone}, ...); score both on one test set"
        raise UnblurError(msg)
    return [replace(score, value=score.value - theirs[pair]) for pair, score in ours.items()]


def rank_pairs(scores: Iterable[Score], profile: str) -> list[str]:
    """Return the pairs by the model's gain over the blurred input, the largest first."""
    return [score.pair for score in sorted(gains(scores, MODEL, profile), key=lambda score: (-score.value, score.pair))]


def guarded(scores: Iterable[Score], method: str) -> int:
    """Return how many places of a method's outputs the guard would put back, over all pairs."""
    return round(math.fsum(score.value for score in scores if (score.method, score.profile) == (method, GUARDED)))


def decimals(profile: str) -> int:
    """Return how many decimals a figure of `profile` is told with: 2 for dB, 4 for the others."""
    return 2 if profile.startswith(("psnr", "guard")) else 4


def unit(profile: str) -> str:
    """Return the unit of a figure of `profile`, empty for a plain number."""
    return "dB" if profile.startswith("psnr") else ""
