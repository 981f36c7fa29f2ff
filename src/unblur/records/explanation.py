"""What an explanation has found: the fidelity of each map, and figures about the photograph."""

from dataclasses import dataclass

from unblur.records.files import Optional


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
