"""Restormer: U-shaped network with self-attention over channels (Zamir et al. 2022, CVPR)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.description import Removable
from unblur.networks.folding import Standardise, after_affine, parts
from unblur.networks.layers import LayerNorm2d, SubpixelUp, crop, pad_to_multiple


class Restormer(nn.Module):
    """Restores (B, 3, H, W) to (B, 3, H, W), both RGB in [0, 1]; any H and W from 1 on.

    Args:
        width: channels at full resolution; each level below has twice as many, and so has the way up at full
            resolution, which keeps the skip concatenated.
        blocks: transformer blocks at each level, full resolution first; the last level is the lowest.
        refinement_blocks: blocks after the way up.
        heads: of the attention at each level; they share out the channels.
        expansion: channels inside the feed-forward, relative to those outside.
        norm_bias: layer norms subtract the mean and add a bias; without, they only scale.
        bias: convolutions of the blocks, of the skips and at the end have a bias.

    Raises:
        UnblurError: blocks and heads differ in length, or heads do not share out the channels evenly.
    """

    task: ClassVar[str] = "image"

    def __init__(
        self,
        width: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        *,
        norm_bias: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(len(blocks))]
        if len(blocks) != len(heads) or any(c % h for c, h in zip(channels, heads, strict=True)):
            msg = f"Restormer: got blocks {list(blocks)}, heads {list(heads)}, width {width}; expected as many heads as"
            raise UnblurError(msg + " levels, and heads that share out a level's channels evenly")

        def level(channels: int, count: int, heads: int) -> nn.Sequential:
            blocks = [TransformerBlock(channels, heads, expansion, norm_bias, bias) for _ in range(count)]
            return nn.Sequential(*blocks)

        self.multiple = 2 ** (len(blocks) - 1)
        self.intro = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        for c, count, h in list(zip(channels, blocks, heads, strict=True))[:-1]:
            self.encoders.append(level(c, count, h))
            self.downs.append(nn.Sequential(nn.Conv2d(c, c // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2)))
        self.latent = level(channels[-1], blocks[-1], heads[-1])
        self.ups, self.reduces, self.decoders = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i in reversed(range(len(blocks) - 1)):
            c = channels[i]
            self.ups.append(SubpixelUp(2 * c, c, kernel=3))
            # At full resolution the concatenated channels stay.
            self.reduces.append(nn.Conv2d(2 * c, c, 1, bias=bias) if i else nn.Identity())
            self.decoders.append(level(c if i else 2 * c, blocks[i], heads[i]))
        self.refinement = level(2 * width, refinement_blocks, heads[0])
        self.output = nn.Conv2d(2 * width, 3, 3, padding=1, bias=bias)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)  # a new network returns its input

    def forward(self, blur: Tensor) -> Tensor:
        """Return the restored image; values may leave [0, 1] a little."""
        height, width = blur.shape[-2:]
        padded = pad_to_multiple(blur, self.multiple)

        x = self.intro(padded)  # (B, 3, H, W) -> (B, c, H, W)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)  # (B, c, H, W) -> (B, 2c, H/2, W/2)
        x = self.latent(x)
        for up, reduce, decoder, skip in zip(self.ups, self.reduces, self.decoders, reversed(skips), strict=True):
            x = torch.cat([up(x), skip], dim=1)  # (B, 2c, H/2, W/2) -> (B, 2c, H, W)
            x = decoder(reduce(x))
        restored = self.output(self.refinement(x)) + padded
        return crop(restored, height, width)


class TransformerBlock(nn.Module):
    """Attention over channels, then the gated feed-forward; each a residual after a layer norm."""

    skippable: ClassVar[bool] = True

    def __init__(self, channels: int, heads: int, expansion: float, norm_bias: bool, bias: bool) -> None:
        super().__init__()
        norm = LayerNorm2d if norm_bias else ScaleNorm2d
        self.norm1 = norm(channels, eps=1e-5)
        self.attn = ChannelAttention(channels, heads, bias)
        self.norm2 = norm(channels, eps=1e-5)
        self.ffn = GatedFeedForward(channels, int(channels * expansion), bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.ffn(self.norm2(x))
        return out

    def folded(self) -> nn.Module:
        """Return a block that computes the same in fewer passes."""
        return FoldedTransformerBlock(self)


class ChannelAttention(nn.Module):
    """Multi-Dconv head transposed attention (MDTA): every channel attends to the others of its head.

    A = softmax(tau q k^T) is (C/h, C/h) for each head, so the cost grows with the pixels, not with their square.
    """

    def __init__(self, channels: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, _, height, width = x.shape
        heads = len(self.temperature)
        qkv = self.qkv_dwconv(self.qkv(x)).reshape(batch, 3, heads, -1, height * width)
        q, k, v = qkv.unbind(1)  # (B, h, C/h, HW)
        attention = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)  # (B, h, C/h, C/h)
        attention = (attention * self.temperature).softmax(dim=-1)
        out: Tensor = self.project_out((attention @ v).reshape(batch, -1, height, width))
        return out

    def removable(self) -> list[Removable]:
        """Return its heads, if there are several; each has a share of the queries, keys and values."""
        count = len(self.temperature)
        if count < 2:
            return []
        owners = [head for head in range(count) for _ in range(self.project_out.in_channels // count)]
        places = [
            ("qkv", "out", owners * 3),
            ("project_out", "in", owners),
            ("qkv_dwconv", "each", owners * 3),
            ("temperature", "values", list(range(count))),
        ]
        return [Removable(count, places, heads=True)]


class GatedFeedForward(nn.Module):
    """Gated-Dconv feed-forward (GDFN): GELU(x1) x2 of two depthwise branches."""

    def __init__(self, channels: int, hidden: int, bias: bool = False) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        first, second = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        out: Tensor = self.project_out(F.gelu(first) * second)
        return out

    def removable(self) -> list[Removable]:
        """Return its hidden channels; one of each half of the gate goes together."""
        every = list(range(self.project_out.in_channels))
        places = [("project_in", "out", every * 2), ("project_out", "in", every), ("dwconv", "each", every * 2)]
        return [Removable(len(every), places)]


class FoldedTransformerBlock(nn.Module):
    """A transformer block for inference.

    Norms lie in the convolutions; queries, keys and values, and the gate's halves, come out apart. The lengths of
    queries and keys divide the small attention map instead of them, and the projection is joined to the map: one matrix
    for the whole image, through which the values go once.
    """

    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        attention, ffn = block.attn, block.ffn
        self.heads, self.temperature = len(attention.temperature), attention.temperature
        self.standardise1, qkv = _without_norm(block.norm1, attention.qkv)
        self.points = nn.ModuleList(parts(qkv, 3))
        self.depthwise = nn.ModuleList(parts(attention.qkv_dwconv, 3))
        out = attention.project_out.weight.flatten(1)  # (C, h d)
        self.project = nn.Parameter(torch.stack(out.chunk(self.heads, dim=1)))  # (h, C, d)
        self.project_bias = attention.project_out.bias
        self.standardise2, gates = _without_norm(block.norm2, ffn.project_in)
        self.gates = nn.ModuleList(parts(gates, 2))
        self.gates_depthwise = nn.ModuleList(parts(ffn.dwconv, 2))
        self.project_out = ffn.project_out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        normed = self.standardise1(x)
        q, k, v = (d(p(normed)).flatten(2) for p, d in zip(self.points, self.depthwise, strict=True))  # (B, h d, HW)
        split = (self.heads, -1)
        lengths = [t.square().sum(-1).sqrt().clamp_min(1e-12).unflatten(1, split) for t in (q, k)]  # (B, h, d)
        scores = q.unflatten(1, split) @ k.unflatten(1, split).transpose(-2, -1)  # (B, h, d, d)
        scores = scores / (lengths[0][..., None] * lengths[1][..., None, :])
        attention = (scores * self.temperature).softmax(dim=-1)
        mixed = (self.project @ attention).transpose(1, 2).flatten(2)  # (B, C, h d)
        x = x + (mixed @ v).unflatten(-1, x.shape[-2:])
        if self.project_bias is not None:
            x = x + self.project_bias[:, None, None]

        normed = self.standardise2(x)
        first, second = (d(p(normed)) for p, d in zip(self.gates, self.gates_depthwise, strict=True))
        out: Tensor = x + self.project_out(F.gelu(first) * second)
        return out


def _without_norm(norm: "LayerNorm2d | ScaleNorm2d", conv: nn.Conv2d) -> tuple[Standardise, nn.Conv2d]:
    """Return what is left of a norm and the convolution after it when the affine part has moved into the latter."""
    weight, bias = norm.weight, norm.bias if isinstance(norm, LayerNorm2d) else None
    standardise = Standardise(len(weight), norm.eps, centred=bias is not None)
    return standardise, after_affine(conv, weight, bias)


class ScaleNorm2d(nn.Module):
    """Layer normalisation that neither centres nor shifts (Restormer's BiasFree): x / sqrt(var(x) + eps) * weight."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over C."""
        variance = x.var(dim=1, keepdim=True, unbiased=False)
        return x * torch.rsqrt(variance + self.eps) * self.weight[:, None, None]
