"""What an explanation has found: the fidelity of each map, and figures about the photograph."""

from dataclasses import dataclass
from pathlib import Path

from unblur.records.files import Optional, read_json, read_table

COVERAGE, FIDELITY, SUMMARY = "coverage.csv", "fidelity.csv", "summary.json"


@dataclass(frozen=True)
class Fidelity:
    """The tests of one map.

    `deletion` and `insertion` are mean distances from random orders, with their 95 % intervals; above 0 is better.
    `completeness_error` is the share by which the map's sum misses what it promises; `rank_correlation` Spearman's with
    the exhaustive intervention; `stability` the agreement with the map of a noisy input and another seed; `unchanged`
    that with the map of shuffled weights, where a true map changes. `failed` says in words what it failed.
    """

    map: str
    deletion: float
    deletion_low: float
    deletion_high: float
    insertion: float
    insertion_low: float
    insertion_high: float
    completeness_error: Optional
    rank_correlation: float
    stability: float
    unchanged: Optional
    failed: str


@dataclass(frozen=True)
class PairFidelity(Fidelity):
    """The tests of one map of one pair of a stratum."""

    pair: str
    stratum: str


@dataclass(frozen=True)
class Coverage:
    """The share of pixels of `pairs` test pairs of a stratum whose error lies below its bound; `asked` was promised.

    `low` and `high` are its 95 % interval for other scenes: Student's over the `scenes`, 0 and 1 where there is one.
    """

    stratum: str
    pairs: int
    scenes: int
    asked: float
    reached: float
    low: float
    high: float


@dataclass(frozen=True)
class Filters:
    """The one per cent of filters that deblur: `masked` of all `filters`, in the layers `where`.

    Gains are in dB over the blurred picture: of the whole network, without these filters, and without as many others;
    the last two on nearly sharp pairs.
    """

    filters: int
    masked: int
    gain: float
    gain_without: float
    gain_without_random: float
    sharp_gain: float
    sharp_gain_without: float
    where: str


@dataclass(frozen=True)
class ExplainSummary:
    """What the test pairs say of the explanations of one model.

    The correlations are Spearman's of the blur map's extent with the known strength over the test pairs. Residuals are
    root mean squares in steps of 255: of the restored picture, blurred again by the pair's own blur, against the input;
    and of the inputs, taken for answers themselves. None where it cannot be told.
    """

    model_sha256: str
    pairs: int
    blur_rank_by_spectrum: float | None
    blur_rank_by_correction: float | None
    reblur_residual: float | None
    reblur_residual_unrestored: float | None
    filters: Filters | None
    pages: tuple[str, ...]


def read_summary(folder: Path) -> ExplainSummary:
    """Read what `unblur explain-pairs` wrote of the whole."""
    return read_json(folder / SUMMARY, ExplainSummary, "explain-pairs")


def read_coverage(folder: Path) -> list[Coverage]:
    """Read what the bounds on errors reach, all pairs first."""
    return read_table(folder / COVERAGE, Coverage, "explain-pairs")


def read_fidelity(folder: Path) -> list[PairFidelity]:
    """Read the tests of every map of every explained pair."""
    return read_table(folder / FIDELITY, PairFidelity, "explain-pairs")
