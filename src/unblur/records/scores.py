"""What the evaluation hands on: a score for each pair, method and profile, and their means in metrics.json."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unblur.records.files import read_json, read_table, require_rows, write_json, write_table

BLURRED = "blurred"
"""The method that changes nothing: every gain is counted from it."""
MODEL = "model"
"""The trained network."""
TEMPORAL = "temporal/error"
"""Of videos, beside the profiles: `unblur.metrics.temporal`, in 8-bit steps; the smaller the better."""
GUARDED = "guard/places"
"""Beside the profiles: how many places of an output the guard of `unblur restore` would put back to the input."""

METRICS, SCORES, FRAMES = "metrics.json", "per_image.csv", "per_frame.csv"
_COMMAND = "evaluate"


@dataclass(frozen=True)
class Score:
    """One figure: what `method` reached on `pair` under the metric `profile`.

    `scene` is what the pair was made of: pairs of one scene are not independent of each other.
    `kind` and `strength` are those of the pair's blur; the strength is the extent of its PSF in pixels, 0 for none.
    """

    pair: str
    scene: str
    method: str
    kind: str
    strength: float
    profile: str
    value: float


@dataclass(frozen=True)
class StratumMeans:
    """Means over the pairs with one kind or strength of blur: of the blurred input, of the model, of the gain."""

    pairs: int
    reference: float
    value: float
    gain: float
    improved: int


@dataclass(frozen=True)
class Evaluation:
    """The means over the test pairs.

    Attributes:
        profile: that gains by stratum are told in.
        pairs: how many.
        model_sha256: of the weights that were scored.
        test: {method: {profile: mean}}.
        gain: of the model over the blurred input, by profile.
        strata: by "strength" and "kind", then by name.
        nearly_sharp_change: mean gain of the pairs with blur under 2 pixels; None without such pairs.
        guarded: places that the guard would put back.
        seconds_per_megapixel: by method.
    """

    profile: str
    pairs: int
    model_sha256: str
    test: dict[str, dict[str, float]]
    gain: dict[str, float]
    strata: dict[str, dict[str, StratumMeans]]
    nearly_sharp_change: float | None
    guarded: int
    seconds_per_megapixel: dict[str, float]


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Write the table with full precision; reading it back gives equal scores."""
    write_table(path, Score, scores)


def read_scores(path: Path) -> list[Score]:
    """Read a table that `write_scores` wrote.

    Raises:
        UnblurError: the file is missing, empty, has other columns, or a figure in it cannot be read.
    """
    return require_rows(read_table(path, Score, _COMMAND), path, _COMMAND)


def write_evaluation(found: Evaluation, folder: Path) -> None:
    """Write metrics.json."""
    write_json(folder / METRICS, found)


def read_evaluation(folder: Path) -> Evaluation:
    """Read metrics.json.

    Raises:
        UnblurError: it is missing or broken.
    """
    return read_json(folder / METRICS, Evaluation, _COMMAND)
