"""How work ends early: it looks before each tile, frame or image whether anybody waits for it still."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Stopping(Protocol):
    """Tells whether anybody waits still, such as a threading.Event."""

    def is_set(self) -> bool:
        """Say that nobody does."""


class StoppedWorkError(Exception):
    """Nobody waits for the answer any more."""


def until(stop: Stopping) -> Callable[[Iterable[T]], Iterator[T]]:
    """Return what hands on steps until `stop` is set, and raises StoppedWorkError before the next one then."""

    def steps(all_: Iterable[T]) -> Iterator[T]:
        for step in all_:
            if stop.is_set():
                raise StoppedWorkError
            yield step

    return steps
