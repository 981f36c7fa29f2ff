"""Uformer: U-shaped network with self-attention in windows (Wang et al. 2022, CVPR), shifted as in Swin (Liu 2021)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.folding import Standardise, after_affine, parts, scaled
from unblur.networks.layers import crop, pad_to_multiple


class Uformer(nn.Module):
    """Restores (B, 3, H, W) to (B, 3, H, W), both RGB in [0, 1]; any H and W from 1 on.

    Args:
        width: channels at full resolution; each level below has twice as many. The way up has twice those of the way
            down, as skips are concatenated.
        encoder_blocks: blocks at each level on the way down, full resolution first.
        middle_blocks: blocks at the lowest resolution.
        decoder_blocks: blocks at each level on the way up, lowest resolution first.
        head_channels: channels of each head.
        window: side of the attention's windows in pixels.
        expansion: channels inside the feed-forward, relative to those outside.

    Raises:
        UnblurError: the two lists differ in length, or heads do not share out the channels evenly.
    """

    task: ClassVar[str] = "image"
    inner: ClassVar = ("*.expand",)

    def __init__(
        self,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 2, 8, 8),
        middle_blocks: int = 2,
        decoder_blocks: Sequence[int] = (8, 8, 2, 1),
        *,
        head_channels: int = 32,
        window: int = 8,
        expansion: float = 4.0,
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(decoder_blocks) or width % head_channels:
            levels = f"{len(encoder_blocks)} encoder and {len(decoder_blocks)} decoder levels"
            msg = f"Uformer: got {levels}, width {width}, heads of {head_channels} channels; expected equal levels"
            raise UnblurError(msg + " and heads that share out the width evenly")

        def level(channels: int, count: int) -> nn.Sequential:
            # Every other block attends in windows shifted by half.
            shifts = [0 if i % 2 == 0 else window // 2 for i in range(count)]
            heads = channels // head_channels
            return nn.Sequential(*[WindowBlock(channels, heads, window, shift, expansion) for shift in shifts])

        self.multiple = window * 2 ** len(encoder_blocks)
        self.intro = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(inplace=True))
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        channels = width
        for count in encoder_blocks:
            self.encoders.append(level(channels, count))
            self.downs.append(nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1))
            channels *= 2
        self.middle = level(channels, middle_blocks)
        below = channels
        for count in decoder_blocks:
            channels //= 2
            self.ups.append(nn.ConvTranspose2d(below, channels, 2, stride=2))
            below = 2 * channels
            self.decoders.append(level(below, count))
        self.output = nn.Conv2d(below, 3, 3, padding=1)
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
        x = self.middle(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(torch.cat([up(x), skip], dim=1))  # -> (B, 2c, H, W)
        restored = self.output(x) + padded
        return crop(restored, height, width)


class WindowBlock(nn.Module):
    """Attention in windows, then the locally enhanced feed-forward; each a residual after a layer norm."""

    skippable: ClassVar[bool] = True

    def __init__(self, channels: int, heads: int, window: int, shift: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, window, shift)
        self.norm2 = nn.LayerNorm(channels)
        self.feed_forward = LocalFeedForward(channels, int(channels * expansion))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x.permute(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C), free on channels-last tensors
        x = x + self.attention(self.norm1(x))
        x = x + self.feed_forward(self.norm2(x))
        return x.permute(0, 3, 1, 2)

    def folded(self) -> nn.Module:
        """Return a block that computes the same in fewer passes."""
        return FoldedWindowBlock(self)


class WindowAttention(nn.Module):
    """softmax(Q K^T / sqrt(d) + B) V among the pixels of each window, with a learned bias B for their relative places.

    Shifted windows wrap around the image's border; pixels that meet only by wrapping do not see each other. It is
    written as two products and a softmax: trained under bfloat16 on CPUs, PyTorch's fused kernel is several times
    slower, while these are twice as fast as in float32 (`studies/training_precision.py`).
    """

    place: Tensor

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros(heads, (2 * window - 1) ** 2))
        nn.init.trunc_normal_(self.bias, std=0.02)
        rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        pixels = torch.stack([rows.flatten(), columns.flatten()])  # (2, N), N = window^2
        apart = pixels[:, :, None] - pixels[:, None, :] + window - 1  # (2, N, N), from 0 on
        self.register_buffer("place", apart[0] * (2 * window - 1) + apart[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C); H and W are multiples of the window."""
        batch, height, width, channels = x.shape
        w, heads = self.window, self.heads
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        x = x.reshape(batch, height // w, w, width // w, w, channels).transpose(2, 3)
        x = x.reshape(batch, -1, w * w, channels)  # (B, windows, N, C)

        qkv = self.qkv(x).reshape(batch, -1, w * w, 3, heads, channels // heads)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)  # each (B, windows, h, N, C/h)
        scores = (q * self.scale) @ k.transpose(-2, -1)  # (B, windows, h, N, N)
        scores = scores + self.bias[:, self.place]
        if self.shift:
            scores = scores.masked_fill(self.strangers(height, width, x.device)[:, None], -100.0)
        x = (scores.softmax(dim=-1) @ v).transpose(2, 3).reshape(batch, -1, w * w, channels)

        x = self.out(x).reshape(batch, height // w, width // w, w, w, channels).transpose(2, 3)
        x = x.reshape(batch, height, width, channels)
        return x.roll((self.shift, self.shift), dims=(1, 2)) if self.shift else x

    def strangers(self, height: int, width: int, device: torch.device) -> Tensor:
        """Return (windows, N, N): which pairs of a shifted window's pixels are not neighbours in the image."""
        w = self.window
        # 0 in whole windows; of the last window in each direction, 1 before the image's border and 2 after it.
        row, column = (
            (torch.arange(side, device=device) >= side - w).long()
            + (torch.arange(side, device=device) >= side - self.shift).long()
            for side in (height, width)
        )
        part = row[:, None] * 3 + column[None, :]  # (H, W)
        part = part.reshape(height // w, w, width // w, w).transpose(1, 2).reshape(-1, w * w)
        return part[:, :, None] != part[:, None, :]


class LocalFeedForward(nn.Module):
    """Locally enhanced feed-forward (LeFF): a depthwise convolution between the two linear layers."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.contract = nn.Linear(hidden, channels)
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = self.activation(self.expand(x)).permute(0, 3, 1, 2)  # -> (B, hidden, H, W)
        x = self.activation(self.depthwise(x)).permute(0, 2, 3, 1)
        out: Tensor = self.contract(x)
        return out


class FoldedWindowBlock(nn.Module):
    """A window block for inference: linear layers as 1x1 convolutions with the norms in them.

    Only the windows' queries, keys, values and answers change their order in memory.
    """

    def __init__(self, block: WindowBlock) -> None:
        super().__init__()
        attention, feed_forward = block.attention, block.feed_forward
        self.attention = attention  # for its bias and its map of strangers
        norm1, norm2 = block.norm1, block.norm2
        self.standardise1 = Standardise(len(norm1.weight), norm1.eps)
        q, k, v = parts(after_affine(_pointwise(attention.qkv), norm1.weight, norm1.bias), 3)
        self.q, self.k, self.v = scaled(q, torch.full((len(q.weight),), attention.scale)), k, v
        self.bias = nn.Parameter(attention.bias[:, attention.place])  # (h, N, N)
        self.out = _pointwise(attention.out)
        self.standardise2 = Standardise(len(norm2.weight), norm2.eps)
        self.expand = after_affine(_pointwise(feed_forward.expand), norm2.weight, norm2.bias)
        self.depthwise, self.contract = feed_forward.depthwise, _pointwise(feed_forward.contract)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.out(self._attend(self.standardise1(x)))
        hidden = F.gelu(self.expand(self.standardise2(x)))
        out: Tensor = x + self.contract(F.gelu(self.depthwise(hidden)))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        w, heads, shift = self.attention.window, self.attention.heads, self.attention.shift
        if shift:
            x = x.roll((-shift, -shift), dims=(2, 3))
        apart = (batch * heads, -1, height // w, w, width // w, w)
        # (B, h d, H, W) -> (B h, H / w, W / w, w, w, d) -> (B, h, windows, N, d)
        sorted_by_window = [part(x).reshape(apart).permute(0, 2, 4, 3, 5, 1) for part in (self.q, self.k, self.v)]
        q, k, v = (part.reshape(batch, heads, -1, w * w, part.shape[-1]) for part in sorted_by_window)
        scores = q @ k.transpose(-2, -1) + self.bias[:, None]  # (B, h, windows, N, N)
        if shift:
            scores = scores.masked_fill(self.attention.strangers(height, width, x.device), -100.0)
        x = (scores.softmax(dim=-1) @ v).reshape(batch * heads, height // w, width // w, w, w, -1)
        x = x.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, height, width)
        return x.roll((shift, shift), dims=(2, 3)) if shift else x


def _pointwise(linear: nn.Linear) -> nn.Conv2d:
    """Return a linear layer over channels as a 1x1 convolution."""
    conv = nn.Conv2d(linear.in_features, linear.out_features, 1, bias=linear.bias is not None)
    conv.weight.copy_(linear.weight[:, :, None, None])
    if conv.bias is not None:
        conv.bias.copy_(linear.bias)
    return conv
