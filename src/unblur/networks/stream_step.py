"""One step of a video network as a module of tensors alone, so that it exports with its state in and out."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from unblur.networks.estrnn import ESTRNN


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

    def __init__(self, network: ESTRNN) -> None:
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
        width = network.cell.width
        return StateShape(width, 5 * width, network.past + 1 + network.future, network.future, network.multiple)
