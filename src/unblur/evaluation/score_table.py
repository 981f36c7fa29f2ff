"""The table of scores, one row for each pair, method and profile: on disk, averaged, and as gains. Imports no torch."""

import csv
import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from unblur.errors import UnblurError
from unblur.safety.atomic import replacing

K = TypeVar("K", bound=Hashable)

BLURRED = "blurred"
"""The method that changes nothing: every gain is counted from it."""

MODEL = "model"
"""The trained network."""


TEMPORAL = "temporal/error"
"""Of videos, beside the profiles: `unblur.metrics.temporal`, in 8-bit steps; the smaller the better."""


GUARDED = "guard/places"
"""Beside the profiles: how many places of an output the guard of `unblur restore` would put back to the input."""


@dataclass(frozen=True)
class Score:
    """One figure: what `method` reached on `pair` under the metric `profile`.

    `kind` and `strength` are those of the pair's blur; the strength is the extent of its PSF in pixels, 0 for none.
    """

    pair: str
    method: str
    kind: str
    strength: float
    profile: str
    value: float


COLUMNS = tuple(field.name for field in fields(Score))


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


def write_scores_csv(path: Path, scores: Iterable[Score]) -> None:
    """Write the table with full precision; reading it back gives equal scores."""
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(score) for score in scores)


def read_scores_csv(path: Path) -> list[Score]:
    """Read a table that `write_scores_csv` wrote.

    Raises:
        UnblurError: the file is missing, empty, has other columns, or a figure in it cannot be read.
    """
    if not path.is_file():
        msg = f"{path} is not there; write it with `unblur evaluate`"
        raise UnblurError(msg)
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            msg = f"{path} has the columns {reader.fieldnames}, expected {list(COLUMNS)}; run `unblur evaluate` again"
            raise UnblurError(msg)
        try:
            scores = [_from_row(row) for row in reader]
        except (TypeError, ValueError) as error:
            msg = f"{path}, line {reader.line_num}: {error}; run `unblur evaluate` again"
            raise UnblurError(msg) from error
    if not scores:
        msg = f"{path} has no scores; run `unblur evaluate` again"
        raise UnblurError(msg)
    return scores


def _from_row(row: dict[str, str]) -> Score:
    return Score(row["pair"], row["method"], row["kind"], float(row["strength"]), row["profile"], float(row["value"]))
