"""Gated MLPs over positions, along a grid that spans the image and inside blocks (MAXIM, Tu et al. 2022, CVPR)."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.networks.layers import LayerNorm2d


def gelu(x: Tensor) -> Tensor:
    """Gaussian error linear unit in the form with the hyperbolic tangent (Hendrycks and Gimpel 2016)."""
    return F.gelu(x, approximate="tanh")


class Mixing(nn.Module):
    """One linear map over `side` x `side` positions, the same for every channel: (B, C, H, W) -> the same.

    Args:
        side: H and W are multiples of it.
        spread: True mixes positions that lie H / side and W / side pixels apart, a grid over the whole image; False
            mixes the neighbouring pixels of a block.
    """

    def __init__(self, side: int, spread: bool) -> None:
        super().__init__()
        self.side, self.spread = side, spread
        self.weight = nn.Parameter(torch.empty(side**2, side**2))
        self.bias = nn.Parameter(torch.ones(side**2))
        nn.init.normal_(self.weight, std=1 / side)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the positions by the weight."""
        side, (batch, channels, height, width) = self.side, x.shape
        rows, columns = ((side, s // side) if self.spread else (s // side, side) for s in (height, width))
        x = x.permute(0, 2, 3, 1).reshape(batch, *rows, *columns, channels)
        # Positions first, channels last: one matrix product, and channels stay together in memory.
        x = x.permute((1, 3, 0, 2, 4, 5) if self.spread else (2, 4, 0, 1, 3, 5))  # -> (side, side, B, h, w, C)
        mixed = self.mixed(x.flatten(2).flatten(0, 1))
        mixed = mixed.view(x.shape).permute((2, 0, 3, 1, 4, 5) if self.spread else (2, 3, 0, 4, 1, 5))
        return mixed.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)  # -> (B, C, H, W)

    def mixed(self, x: Tensor) -> Tensor:
        """Multiply (side^2, N), a row for each position, by the weight."""
        return self.weight @ x + self.bias[:, None]


class GatedMlp(nn.Module):
    """An MLP over channels whose second half, mixed over positions, gates the first: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, side: int, spread: bool) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.gate_norm = LayerNorm2d(channels)
        self.mixing = Mixing(side, spread)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what passes the gate."""
        u, v = gelu(self.expand(self.norm(x))).chunk(2, dim=1)
        out: Tensor = x + self.project(u * (self.mixing(self.gate_norm(v)) + 1))
        return out


class MultiAxisBlock(nn.Module):
    """Half of the channels is mixed along the grid, half inside blocks: (B, C, H, W) -> the same.

    Args:
        channels: of the features.
        side: of the grid and of a block; H and W are multiples of it.
    """

    skippable: ClassVar[bool] = True

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.grid = GatedMlp(channels, side, spread=True)
        self.block = GatedMlp(channels, side, spread=False)
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what both axes make of the features."""
        u, v = gelu(self.expand(self.norm(x))).chunk(2, dim=1)
        out: Tensor = x + self.project(torch.cat((self.grid(u), self.block(v)), 1))
        return out


class SpatialGate(nn.Module):
    """Weights for another tensor, mixed along both axes: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.grid = Mixing(side, spread=True)
        self.block = Mixing(side, spread=False)
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights."""
        u, v = gelu(self.expand(self.norm(x))).chunk(2, dim=1)
        weights: Tensor = self.project(torch.cat((self.grid(u), self.block(v)), 1))
        return weights


class CrossGate(nn.Module):
    """Two tensors gate each other: (B, x_channels, H, W) and (B, y_channels, H, W) -> both (B, C, H, W).

    Args:
        x_channels: of the first tensor.
        channels: C.
        side: of grid and blocks.
        y_channels: of the second tensor; default C.
        up: the second tensor has half of the height and width.
    """

    def __init__(
        self, x_channels: int, channels: int, side: int, y_channels: int | None = None, *, up: bool = False
    ) -> None:
        super().__init__()
        y_channels = channels if y_channels is None else y_channels
        self.up = nn.ConvTranspose2d(y_channels, channels, 2, stride=2) if up else nn.Identity()
        self.enter_x = nn.Conv2d(x_channels, channels, 1)
        self.enter_y = nn.Conv2d(channels if up else y_channels, channels, 1)
        self.norm_x, self.norm_y = LayerNorm2d(channels), LayerNorm2d(channels)
        self.expand_x, self.expand_y = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.gate_x, self.gate_y = SpatialGate(channels, side), SpatialGate(channels, side)
        self.project_x, self.project_y = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return both, the first with the second added."""
        x0, y0 = self.enter_x(x), self.enter_y(self.up(y))
        x = gelu(self.expand_x(self.norm_x(x0)))
        y = gelu(self.expand_y(self.norm_y(y0)))
        gated = self.project_y(y * self.gate_x(x)) + y0
        return self.project_x(x * self.gate_y(y)) + gated + x0, gated
