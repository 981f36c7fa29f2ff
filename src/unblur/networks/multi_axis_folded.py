"""The blocks of multi_axis.py for inference: the same functions in fewer passes over the features."""

import functools
from typing import cast

import torch
from torch import Tensor, nn

from unblur.networks.folding import Standardise, after_affine, convolution, parts
from unblur.networks.layers import LayerNorm2d
from unblur.networks.multi_axis import CrossGate, GatedMlp, Mixing, MultiAxisBlock, SpatialGate, gelu


class FoldedNorm(nn.Module):
    """A layer norm that the next layer cannot take in: (B, C, H, W) -> the same."""

    def __init__(self, norm: LayerNorm2d) -> None:
        super().__init__()
        self.standardise = Standardise(len(norm.weight), norm.eps)
        self.weight = nn.Parameter(norm.weight[None, :, None, None])
        self.bias = nn.Parameter(norm.bias[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel over its channels."""
        out: Tensor = self.standardise(x) * self.weight + self.bias
        return out


class FoldedMixing(nn.Module):
    """A Mixing, plus `offset`, of one row of cells after the other.

    So what is moved to bring a cell's positions together stays whole: all pixels of a row that lie in a cell, or all
    channels of a pixel. Turning single values, to have the positions last, takes longer than the product itself.
    """

    def __init__(self, mixing: Mixing, offset: float = 0.0) -> None:
        super().__init__()
        self.side, self.spread = mixing.side, mixing.spread
        self.weight = nn.Parameter(mixing.weight.clone())
        self.bias = nn.Parameter((mixing.bias + offset)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        side, (batch, channels, height, width) = self.side, x.shape
        high, wide = height // side, width // side
        x = x.permute(0, 2, 3, 1)
        if self.spread:
            x = x.reshape(batch, side, high, side, wide * channels).transpose(1, 2)  # -> (B, h, side, side, w * C)
        else:
            x = x.reshape(batch, high * side, wide, side, channels).transpose(2, 3)  # -> (B, h * side, side, w, C)
        x = self.weight @ x.reshape(batch, high, side * side, wide * channels) + self.bias
        if self.spread:
            x = x.reshape(batch, high, side, side, wide * channels).transpose(1, 2)
        else:
            x = x.reshape(batch, high * side, side, wide, channels).transpose(2, 3)
        return x.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class SideBySide(nn.Module):
    """A 1x1 convolution of several features, given by its weight and bias: a sum over them.

    To bring them side by side in memory takes as long as a convolution.

    Args:
        weight: (O, C, 1, 1).
        bias: (O,).
        count: of the features, each of which has C / count channels.
    """

    def __init__(self, weight: Tensor, bias: Tensor, count: int) -> None:
        super().__init__()
        first, *others = weight.chunk(count, dim=1)
        self.convs = nn.ModuleList([convolution(first, bias), *(convolution(share, None) for share in others)])

    def forward(self, *features: Tensor) -> Tensor:
        """Convolve each, (B, C / count, H, W), and add: (B, O, H, W)."""
        out: Tensor = functools.reduce(torch.add, (conv(x) for conv, x in zip(self.convs, features, strict=True)))
        return out


class FoldedGate(nn.Module):
    """What a GatedMlp lets through, before its last layer: (B, C, H, W) -> the same."""

    def __init__(self, mlp: GatedMlp) -> None:
        super().__init__()
        self.standardise = Standardise(len(mlp.norm.weight), mlp.norm.eps)
        self.expand_u, self.expand_v = parts(after_affine(mlp.expand, mlp.norm.weight, mlp.norm.bias), 2)
        self.norm = FoldedNorm(mlp.gate_norm)
        self.mixing = FoldedMixing(mlp.mixing, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the first half of the features by the mixed second."""
        x = self.standardise(x)
        out: Tensor = gelu(self.expand_u(x)) * self.mixing(self.norm(gelu(self.expand_v(x))))
        return out


class FoldedMultiAxisBlock(nn.Module):
    """A MultiAxisBlock whose last layer takes in those of its two axes."""

    def __init__(self, block: MultiAxisBlock) -> None:
        super().__init__()
        self.standardise = Standardise(len(block.norm.weight), block.norm.eps)
        self.expand_u, self.expand_v = parts(after_affine(block.expand, block.norm.weight, block.norm.bias), 2)
        self.grid, self.block = FoldedGate(block.grid), FoldedGate(block.block)
        # project(cat(u + P z, v + Q w)) is one layer of (u, v, z, w).
        channels = block.project.weight.shape[1] // 2
        whole = block.project.weight[:, :, 0, 0]
        grid, blocks = whole[:, :channels], whole[:, channels:]
        inner = [part.project for part in (block.grid, block.block)]
        weight = torch.cat((whole, grid @ inner[0].weight[:, :, 0, 0], blocks @ inner[1].weight[:, :, 0, 0]), 1)
        bias = _bias(block.project) + grid @ _bias(inner[0]) + blocks @ _bias(inner[1])
        self.project = SideBySide(weight[:, :, None, None], bias, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        y = self.standardise(x)
        u, v = gelu(self.expand_u(y)), gelu(self.expand_v(y))
        out: Tensor = x + self.project(u, v, self.grid(u), self.block(v))
        return out


class FoldedSpatialGate(nn.Module):
    """A SpatialGate whose norm lies in its first layer."""

    def __init__(self, gate: SpatialGate) -> None:
        super().__init__()
        self.standardise = Standardise(len(gate.norm.weight), gate.norm.eps)
        self.expand_u, self.expand_v = parts(after_affine(gate.expand, gate.norm.weight, gate.norm.bias), 2)
        self.grid, self.block = FoldedMixing(gate.grid), FoldedMixing(gate.block)
        self.project = SideBySide(gate.project.weight, _bias(gate.project), 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        x = self.standardise(x)
        u, v = gelu(self.expand_u(x)), gelu(self.expand_v(x))
        weights: Tensor = self.project(self.grid(u), self.block(v))
        return weights


class FoldedCrossGate(nn.Module):
    """A CrossGate for inference; its first tensor may come from several sources (see `FoldedGather`)."""

    def __init__(self, gate: CrossGate, enter_x: nn.Module) -> None:
        super().__init__()
        self.enter_x = enter_x
        self.enter_y: nn.Module = gate.enter_y
        if isinstance(gate.up, nn.ConvTranspose2d):
            self.enter_y = transposed_then(gate.up, gate.enter_y.weight, _bias(gate.enter_y))
        self.standardise_x = Standardise(len(gate.norm_x.weight), gate.norm_x.eps)
        self.standardise_y = Standardise(len(gate.norm_y.weight), gate.norm_y.eps)
        self.expand_x = after_affine(gate.expand_x, gate.norm_x.weight, gate.norm_x.bias)
        self.expand_y = after_affine(gate.expand_y, gate.norm_y.weight, gate.norm_y.bias)
        self.gate_x, self.gate_y = FoldedSpatialGate(gate.gate_x), FoldedSpatialGate(gate.gate_y)
        self.project_x, self.project_y = gate.project_x, gate.project_y

    def forward(self, x: Tensor | list[Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
        """Return both, the first with the second added."""
        x0, y0 = self.enter_x(x), self.enter_y(y)
        a, b = gelu(self.expand_x(self.standardise_x(x0))), gelu(self.expand_y(self.standardise_y(y0)))
        gated = self.project_y(b * self.gate_x(a)) + y0
        return self.project_x(a * self.gate_y(b)) + gated + x0, gated


def transposed_then(up: nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> nn.ConvTranspose2d:
    """Return `up` and a 1x1 convolution of this weight (O, C, 1, 1) and bias behind it, as one layer."""
    made = nn.ConvTranspose2d(up.in_channels, len(weight), up.kernel_size, stride=up.stride)  # type: ignore[arg-type]
    made.weight.copy_(torch.einsum("ichw,oc->iohw", up.weight, weight[:, :, 0, 0]))
    cast("Tensor", made.bias).copy_(bias + weight[:, :, 0, 0] @ _bias(up))
    return made


def _bias(conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    return cast("Tensor", conv.bias)  # all layers of MAXIM have one
