"""Takes the least important channels and heads out of a network until it costs what it may."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from unblur.compression.units import Unit, find_units
from unblur.errors import UnblurError

Cost = Callable[[nn.Module], float]
Score = Callable[[nn.Module, Sequence[Unit]], list[Tensor]]

STEPS = 8
"""Of the search for the share that meets the target."""


@dataclass(frozen=True)
class Limits:
    """What each unit keeps at least.

    Attributes:
        multiple: sizes become multiples of this, which processors like (others were slower than the whole network); a
            unit smaller than twice that is left alone, attention heads apart.
        smallest: share of a unit that stays, in (0, 1].
        stream: take from the features that blocks hand on, too.
    """

    multiple: int = 16
    smallest: float = 0.25
    stream: bool = True


def slim(network: nn.Module, score: Score, cost: Cost, target: float, limits: Limits) -> nn.Module:
    """Return a copy of `network` without its least important things, whose cost is at most `target`.

    Every unit loses the same share, as far as its limits allow: of the inner channels as of the features, so that the
    network keeps its shape. The share is the smallest that meets the target.

    Args:
        network: in eval mode; stays as it is.
        score: importance of each unit's things; called once, on `network`.
        cost: of a network, such as its MACs; falls as things are removed.
        target: in the unit of `cost`.
        limits: what stays.

    Raises:
        UnblurError: even with all that the limits allow to remove, the cost is above the target.
    """
    units = find_units(network)
    scores = dict(zip([unit.name for unit in units], score(network, units), strict=True))

    def without(share: float) -> nn.Module:
        return _without(network, scores, share, limits)

    best = without(1.0)
    if cost(best) > target:
        msg = f"pruning reaches {cost(best):.4g} at best, {target:.4g} is wanted; raise prune.target, or allow for "
        raise UnblurError(msg + "more with prune.smallest, prune.multiple or prune.stream")
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        candidate = without(middle)
        if cost(candidate) <= target:
            high, best = middle, candidate
        else:
            low = middle
    return best


def _without(network: nn.Module, scores: dict[str, Tensor], share: float, limits: Limits) -> nn.Module:
    slimmer = copy.deepcopy(network)
    for unit in find_units(slimmer):
        count = _removed(unit, share, limits)
        if count:
            unit.remove(scores[unit.name].argsort()[:count].sort().values.tolist())
    return slimmer


def _removed(unit: Unit, share: float, limits: Limits) -> int:
    """Return how many things a unit loses."""
    multiple = 1 if unit.heads else limits.multiple
    if (unit.stream and not limits.stream) or unit.size < 2 * multiple:
        return 0
    kept = max(unit.size * (1 - share), unit.size * limits.smallest, multiple, 1)
    return unit.size - min(unit.size, multiple * round(kept / multiple))
