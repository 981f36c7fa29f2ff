"""What every kind of blur offers: draw its parameters, then apply them. A new kind is one class and one YAML line."""

from collections.abc import Mapping
from typing import Protocol

from numpy.random import Generator

from unblur.blur.light import Linear
from unblur.errors import UnblurError

Parameters = Mapping[str, float]
"""Plain JSON numbers, seeds among them, from which `apply` makes the same blur again."""


class Operator(Protocol):
    """A kind of blur: a frozen dataclass whose fields are the ranges that its parameters are drawn from."""

    def draw(self, rng: Generator, level: float) -> dict[str, float]:
        """Draw parameters; `level` in [0, 1] goes from the weakest to the strongest blur of this kind."""
        ...

    def strength(self, parameters: Parameters) -> float:
        """Return the extent of the point-spread function in pixels."""
        ...

    def margin(self, parameters: Parameters) -> int:
        """Return how many pixels around a crop the blur reaches for."""
        ...

    def apply(self, linear: Linear, parameters: Parameters) -> Linear:
        """Return `linear` (H, W, 3) blurred, same shape, as float32 linear light; the border is mirrored."""
        ...


def between(low: float, high: float, level: float) -> float:
    """Return the value at `level` in [0, 1] of the way from `low` to `high`."""
    return low + (high - low) * level


def random_seed(rng: Generator) -> int:
    """Return a seed below 2^31, small enough for every format that it is written to."""
    return int(rng.integers(2**31))


def check_range(name: str, low: float, high: float) -> None:
    """Raise UnblurError unless 0 <= low <= high."""
    if not 0 <= low <= high:
        msg = f"{name}: got the range {low} to {high}; expected 0 <= min <= max. Change it in conf/blur."
        raise UnblurError(msg)
