"""Restores video with ONNX Runtime: one step a frame, its state in and out, so memory does not grow with the clip."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.restoring.onnx_runtime import RUNTIME_ERRORS, one_line, open_session
from unblur.safety.hashing import sha256_file

STATE = ("hidden", "features", "frames")
Frame = NDArray[np.float32]


class OnnxStream:
    """An exported video network: the inputs `blur`, its state, `first` and `drain`, and the outputs in that order.

    Raises:
        UnblurError: the file is no ONNX model, or its inputs are others.
    """

    task = "video"

    def __init__(self, path: Path, threads: int | None = None, name: str | None = None) -> None:
        self.name = name or path.name
        self.sha256 = sha256_file(path)
        self._session = open_session(path, threads, self.name)
        notes = self._session.get_modelmeta().custom_metadata_map
        self._shapes = {each.name: each.shape for each in self._session.get_inputs()}
        if not {"blur", *STATE, "first", "drain"} <= set(self._shapes) or not {"delay", "multiple"} <= set(notes):
            msg = f"{self.name}: takes {', '.join(self._shapes)}; expected a video network of `unblur export`"
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
            restored, *after = self._session.run(None, {**inputs, "first": np.array(first), "drain": np.array(drain)})
        except RUNTIME_ERRORS as error:
            msg = f"{self.name}: fails on a frame of {frame.shape} ({one_line(error)}); make the video smaller"
            raise UnblurError(msg) from error
        return restored, tuple(after)

    def _empty(self, frame: Frame) -> tuple[Frame, ...]:
        """Return the state before the first frame: zeros of the sizes that go with it."""
        batch, _, height, width = frame.shape
        coarse = -(-height // self._multiple), -(-width // self._multiple)
        hidden, features, frames = (self._shapes[name] for name in STATE)
        return (
            np.zeros((batch, hidden[1], *coarse), np.float32),
            np.zeros((batch, features[1], features[2], *coarse), np.float32),
            np.zeros((batch, frames[1], 3, height, width), np.float32),
        )
