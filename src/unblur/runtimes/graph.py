"""Restores with a graph that some runtime runs: images and bursts at once, video frame by frame."""

import copy
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.runtimes.session import Session, SessionError

STATE = ("hidden", "features", "frames")
Frame = NDArray[np.float32]


class GraphRestorer:
    """A graph with one image or burst in and one image out.

    Raises:
        UnblurError: it is not made for float images or bursts of any size.
    """

    def __init__(self, session: Session, name: str, sha256: str) -> None:
        self.name, self.sha256 = name, sha256
        self._session, self._is_settled = session, False
        self._input, self.task = self._checked_input()

    def settled(self) -> "GraphRestorer":
        """Return the same for inputs of which many have the same size (see `Session.run`)."""
        other = copy.copy(self)
        other._is_settled = True
        return other

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1], or the first shot of bursts (B, K, 3, H, W)."""
        try:
            restored: NDArray[np.float32] = self._session.run(
                {self._input: np.ascontiguousarray(batch)}, settled=self._is_settled
            )[0]
        except SessionError as error:
            msg = f"{self.name}: fails on an input of {batch.shape} ({error}); try a smaller --tile"
            raise UnblurError(msg) from error
        return restored

    def _checked_input(self) -> tuple[str, str]:
        """Return the input's name and the task after a look at its shape."""
        (name, shape), *others = self._session.inputs.items()
        usable = not others and self._session.floats and len(shape) in (4, 5) and shape[-3] == 3
        if not usable or any(size is not None for size in (*shape[1:-3], *shape[-2:])):
            described = ", ".join(f"{each}: {_shown(size)}" for each, size in self._session.inputs.items())
            msg = f"{self.name}: takes {described}; expected one float (batch, 3, height, width) of free size"
            raise UnblurError(msg)
        return name, "image" if len(shape) == 4 else "burst"


class GraphStream:
    """A video network as one step: the inputs `blur`, its state, `first` and `drain`; the outputs in that order.

    Memory does not grow with the clip.

    Raises:
        UnblurError: its inputs are others.
    """

    task = "video"

    def __init__(self, session: Session, name: str, sha256: str) -> None:
        self.name, self.sha256 = name, sha256
        self._session = session
        notes = session.notes
        if not {"blur", *STATE, "first", "drain"} <= set(session.inputs) or not {"delay", "multiple"} <= set(notes):
            msg = f"{self.name}: takes {', '.join(session.inputs)}; expected a video network of `unblur export`"
            raise UnblurError(msg)
        self.delay, self._multiple = int(notes["delay"]), int(notes["multiple"])

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, T, 3, H, W) float32 in [0, 1]."""
        return np.stack(list(self.stream(batch.transpose(1, 0, 2, 3, 4))), axis=1)

    def stream(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield every frame (B, 3, H, W) restored, `delay` frames later than it is taken."""
        state: tuple[Frame, ...] | None = None
        taken = 0
        newest: Frame | None = None
        for newest in frames:
            first = state is None
            restored, state = self._step(newest, self._empty(newest) if state is None else state, first=first)
            taken += 1
            if taken > self.delay:
                yield restored
        if state is None or newest is None:
            return
        for late in range(1, self.delay + 1):
            restored, state = self._step(newest, state, drain=True)
            if taken + late > self.delay:
                yield restored

    def _step(
        self, frame: Frame, state: tuple[Frame, ...], *, first: bool = False, drain: bool = False
    ) -> tuple[Frame, tuple[Frame, ...]]:
        inputs = {"blur": np.ascontiguousarray(frame), **dict(zip(STATE, state, strict=True))}
        try:
            restored, *after = self._session.run({**inputs, "first": np.array(first), "drain": np.array(drain)})
        except SessionError as error:
            msg = f"{self.name}: fails on a frame of {frame.shape} ({error}); make the video smaller"
            raise UnblurError(msg) from error
        return restored, tuple(after)

    def _empty(self, frame: Frame) -> tuple[Frame, ...]:
        """Return the state before the first frame: zeros of the sizes that go with it."""
        batch, _, height, width = frame.shape
        coarse = -(-height // self._multiple), -(-width // self._multiple)
        hidden, features, frames = (self._session.inputs[name] for name in STATE)
        return (
            np.zeros((batch, hidden[1] or 0, *coarse), np.float32),
            np.zeros((batch, features[1] or 0, features[2] or 0, *coarse), np.float32),
            np.zeros((batch, frames[1] or 0, 3, height, width), np.float32),
        )


def _shown(shape: tuple[int | None, ...]) -> str:
    return str(["?" if size is None else size for size in shape])
