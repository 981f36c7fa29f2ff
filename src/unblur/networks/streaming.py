"""Networks for video: a recurrent state and a window of features, over a clip at once or frame by frame.

How a frame is encoded and decoded is the network's own; that a stream gives what the clip gives, and that one step
exports with its state in and out, is the same for all.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn


class ClipState(NamedTuple):
    """What a stream remembers: all that a step needs besides its frame."""

    hidden: Tensor
    """(B, hidden_channels, h, w): the recurrent state."""
    features: Tensor
    """(B, past + 1 + future, feature_channels, h, w): of the last frames, the newest last."""
    frames: Tensor
    """(B, future + 1, 3, H, W): the last frames themselves, the newest last."""


class StreamingNetwork(nn.Module):
    """Restores a clip (B, T, 3, H, W) to (B, T, 3, H, W), both RGB in [0, 1]; any T, H and W from 1 on.

    `forward` takes a clip at once; `start`, `step` and `drain`, or `stream` for all three, take it frame by frame with
    the same result, a delay of `future` frames, and memory that does not grow. A network gives the attributes below,
    `encode` and `decode`.

    Attributes:
        past: frames before a frame whose features it sees, besides the recurrent state.
        future: frames after it, and the delay of a stream.
        multiple: the features are so many times smaller than the frames, which `encode` pads.
        hidden_channels: of the recurrent state.
        feature_channels: of a frame's features.
    """

    task: ClassVar[str] = "video"
    past: int
    future: int
    multiple: int

    @property
    def hidden_channels(self) -> int:
        """Channels of the recurrent state."""
        raise NotImplementedError

    @property
    def feature_channels(self) -> int:
        """Channels of a frame's features."""
        raise NotImplementedError

    def encode(self, frame: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the features (B, C, h, w) of a frame (B, 3, H, W), and the state after it; None is the start."""
        raise NotImplementedError

    def decode(self, features: Tensor, frame: Tensor) -> Tensor:
        """Return (B, 3, H, W) of the features (B, past + 1 + future, C, h, w) around a frame."""
        raise NotImplementedError

    def forward(self, blur: Tensor) -> Tensor:
        """Return every frame restored; values may leave [0, 1] a little."""
        hidden = None
        features = []
        for frame in blur.unbind(1):
            encoded, hidden = self.encode(frame, hidden)
            features.append(encoded)
        last = len(features) - 1
        restored = []
        for t, frame in enumerate(blur.unbind(1)):
            seen = [features[min(max(t + k, 0), last)] for k in range(-self.past, self.future + 1)]
            restored.append(self.decode(torch.stack(seen, dim=1), frame))
        return torch.stack(restored, dim=1)

    def start(self, frame: Tensor) -> ClipState:
        """Return the state of a stream before its first frame, which is `frame` (B, 3, H, W)."""
        encoded, hidden = self.encode(frame)
        window = torch.stack([encoded] * (self.past + 1 + self.future), dim=1)
        return ClipState(torch.zeros_like(hidden), window, torch.stack([frame] * (self.future + 1), dim=1))

    def step(self, frame: Tensor, state: ClipState) -> tuple[Tensor, ClipState]:
        """Take the next frame (B, 3, H, W); return the one `future` frames before it, restored, and the state.

        The first `future` results of a stream come before its first frame and mean nothing.
        """
        encoded, hidden = self.encode(frame, state.hidden)
        return self._next(encoded, hidden, frame, state)

    def drain(self, state: ClipState) -> tuple[Tensor, ClipState]:
        """Return the next restored frame when there are no more to take; `future` times at the end of a stream."""
        return self._next(state.features[:, -1], state.hidden, state.frames[:, -1], state)

    def stream(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield every frame (B, 3, H, W) restored, `future` frames later than it is taken."""
        state, taken = None, 0
        for frame in frames:
            restored, state = self.step(frame, self.start(frame) if state is None else state)
            taken += 1
            if taken > self.future:
                yield restored
        for late in range(1, self.future + 1):
            if state is None:
                return
            restored, state = self.drain(state)
            if taken + late > self.future:
                yield restored

    def _next(self, encoded: Tensor, hidden: Tensor, frame: Tensor, state: ClipState) -> tuple[Tensor, ClipState]:
        features = torch.cat([state.features[:, 1:], encoded[:, None]], dim=1)
        frames = torch.cat([state.frames[:, 1:], frame[:, None]], dim=1)
        return self.decode(features, frames[:, 0]), ClipState(hidden, features, frames)


class StateShape(NamedTuple):
    """What a state's tensors are like for frames of H x W: channels, and how much smaller the features are."""

    hidden: int
    features: int
    window: int
    delay: int
    multiple: int


class StreamStep(nn.Module):
    """Takes the next frame of a stream and its state; returns the frame `future` steps ago, restored, and the state.

    With `first` the window is filled with the frame's own features, and the hidden state that is handed in has to be
    zero. With `drain` there is no next frame: the last features come again. Both are booleans of shape ().
    """

    def __init__(self, network: StreamingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(  # noqa: PLR0917 (an exported program has only positions)
        self, blur: Tensor, hidden: Tensor, features: Tensor, frames: Tensor, first: Tensor, drain: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, 3, H, W), (B, n, h, w), (B, w, C, h, w), (B, d, 3, H, W) -> restored (B, 3, H, W), the state."""
        encoded, after = self.network.encode(blur, hidden)
        encoded = torch.where(drain, features[:, -1], encoded)
        after = torch.where(drain, hidden, after)
        newest = torch.where(drain, frames[:, -1], blur)
        features = torch.where(first, encoded[:, None], torch.cat([features[:, 1:], encoded[:, None]], dim=1))
        frames = torch.where(first, newest[:, None], torch.cat([frames[:, 1:], newest[:, None]], dim=1))
        return self.network.decode(features, frames[:, 0]), after, features, frames

    def shape(self) -> StateShape:
        """Return what its state is like."""
        network = self.network
        window = network.past + 1 + network.future
        return StateShape(network.hidden_channels, network.feature_channels, window, network.future, network.multiple)
