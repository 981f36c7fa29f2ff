"""The parts of a stage of MAXIM (Tu et al. 2022, CVPR): levels, attention, perceptrons, and what joins levels."""

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.networks.description import Removable, hidden_channels
from unblur.networks.layers import LayerNorm2d
from unblur.networks.multi_axis import MultiAxisBlock, gelu
from unblur.networks.resampling import resize_by

LEVELS = 3

Features = tuple[list[Tensor], list[Tensor], list[Tensor]]  # encoder, decoder, attended; full resolution first


class Level(nn.Module):
    """The blocks of one level, with a long skip: (B, in_channels, h, w) -> (B, channels, h, w).

    Args:
        in_channels: of the input.
        channels: of the output.
        side: of the grid and of a block of the multi-axis blocks.
        groups: multi-axis block and what follows it, so many times.
        attend: makes what follows, from the number of channels.
    """

    def __init__(
        self, in_channels: int, channels: int, side: int, groups: int, attend: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, channels, 1)
        self.mix = nn.ModuleList(MultiAxisBlock(channels, side) for _ in range(groups))
        self.attend = nn.ModuleList(attend(channels) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        """Mix along the axes, attend to the channels, in turns."""
        entered = x = self.enter(x)
        for mix, attend in zip(self.mix, self.attend, strict=True):
            x = attend(mix(x))
        out: Tensor = x + entered
        return out


class ResidualAttention(nn.Module):
    """Two 3x3 convolutions and channel attention: (B, C, H, W) -> the same."""

    skippable: ClassVar[bool] = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the attention leaves of the convolutions."""
        out: Tensor = x + self.attention(self.conv2(F.leaky_relu(self.conv1(self.norm(x)), 0.2)))
        return out

    def removable(self) -> list[Removable]:
        """Return the channels between its convolutions; the graph loses count where positions become channels."""
        return [hidden_channels("conv1", "conv2", self.conv1.out_channels)]


class ChannelMlp(nn.Module):
    """A perceptron over the channels of each pixel, and channel attention: (B, C, H, W) -> the same."""

    skippable: ClassVar[bool] = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.expand = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the attention leaves of the perceptron."""
        hidden = gelu(self.expand(self.norm(x)))
        out: Tensor = x + self.attention(self.project(hidden))
        return out

    def removable(self) -> list[Removable]:
        """Return the perceptron's hidden channels."""
        return [hidden_channels("expand", "project", self.expand.out_channels)]


class ChannelAttention(nn.Module):
    """Scales each channel by a factor in [0, 1] that follows from the means of all: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)
        nn.init.constant_(cast("Tensor", self.squeeze.bias), 0.5)  # or else some are never switched on

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the factors."""
        factors = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        out: Tensor = x * factors.sigmoid()
        return out


class Gather(nn.Module):
    """Features of all levels (c_0 at H x W, c_1 at half of it, ...) brought to one level, side by side.

    Args:
        channels: of the levels, full resolution first.
        level: where they are brought to; each gets the channels of this level.
        upwards: the lowest level comes first in the result.
    """

    def __init__(self, channels: Sequence[int], level: int, upwards: bool = False) -> None:
        super().__init__()
        self.level, self.upwards = level, upwards
        self.convs = nn.ModuleList(nn.Conv2d(c, channels[level], 1) for c in channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Resize bilinearly and convolve 1x1; the two commute, so whichever order is cheaper."""
        gathered = []
        for source, (conv, x) in enumerate(zip(self.convs, features, strict=True)):
            steps = source - self.level
            gathered.append(resize_by(conv(x), steps) if steps > 0 else conv(resize_by(x, steps)))
        return torch.cat(gathered[::-1] if self.upwards else gathered, 1)


class SupervisedAttention(nn.Module):
    """Features gated by the image that they gave (MPRNet, Zamir et al. 2021, CVPR): (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = nn.Conv2d(3, channels, 3, padding=1)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Add the features that the image (B, 3, H, W) asks for."""
        out: Tensor = self.features(x) * self.attention(image).sigmoid() + x
        return out
