"""NAFNet: U-shaped network without activation functions (Simple Baselines for Image Restoration, Chen et al. 2022)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.folding import Standardise, after_affine, parts, scaled
from unblur.networks.layers import LayerNorm2d, SimpleGate, SubpixelUp, crop, pad_to_multiple
from unblur.networks.local_mean import LocalMean


class NAFNet(nn.Module):
    """Restores (B, in_channels, H, W) to (B, out_channels, H, W), both RGB in [0, 1]; any H and W from 1 on.

    The parameters are named as in the official checkpoints, so that those load with `strict=True`.

    Args:
        in_channels: channels of the input; the first `out_channels` of them are the image that is corrected.
        out_channels: channels of the output.
        width: channels at full resolution; each level below has twice as many.
        encoder_blocks: blocks at each level on the way down, full resolution first.
        middle_blocks: blocks at the lowest resolution.
        decoder_blocks: blocks at each level on the way up, lowest resolution first.
        statistics: "global" pools over the whole image, as in the paper; "local" over a window 1.5 times as large as
            the training patches (TLC). The parameters are the same: a checkpoint serves both.
        train_size: side of the training patches in pixels; read for local statistics alone.

    Raises:
        UnblurError: the two lists differ in length, the input has fewer channels than the output, or the statistics
            are unknown or lack the training size.
    """

    task: ClassVar[str] = "image"
    inner: ClassVar = ("*.conv1", "*.conv4")
    stream_units: ClassVar = ("intro", "downs.*")

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 32,
        *,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
        statistics: str = "global",
        train_size: int | None = None,
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(decoder_blocks):
            msg = (
                f"NAFNet has {len(encoder_blocks)} encoder levels and {len(decoder_blocks)} decoder levels: "
                "give encoder_blocks and decoder_blocks the same length"
            )
            raise UnblurError(msg)
        if in_channels < out_channels:
            msg = f"NAFNet corrects its input: in_channels={in_channels} must be at least out_channels={out_channels}"
            raise UnblurError(msg)
        if statistics not in ("global", "local") or (statistics == "local" and not train_size):
            msg = (
                f"NAFNet: got statistics={statistics!r}, train_size={train_size}; expected global, or local with a size"
            )
            raise UnblurError(msg)
        self.out_channels = out_channels
        self.multiple = 2 ** len(encoder_blocks)
        windows = [0] * (len(encoder_blocks) + 1)
        if statistics == "local" and train_size:
            # A window of 1.5 patches, in the features of a patch that is padded as an image is.
            padded = -(-train_size // self.multiple) * self.multiple
            windows = [(padded >> level) * (train_size * 3 // 2) // train_size for level in range(len(windows))]

        self.intro = nn.Conv2d(in_channels, width, 3, padding=1)
        self.ending = nn.Conv2d(width, out_channels, 3, padding=1)
        for parameter in self.ending.parameters():
            nn.init.zeros_(parameter)  # a new network returns its input, which is a good first guess
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()

        channels = width
        for level, blocks in enumerate(encoder_blocks):
            self.encoders.append(_blocks(channels, blocks, windows[level]))
            self.downs.append(nn.Conv2d(channels, 2 * channels, 2, stride=2))
            channels *= 2
        self.middle_blks = _blocks(channels, middle_blocks, windows[-1])
        for blocks, window in zip(decoder_blocks, windows[-2::-1], strict=True):
            self.ups.append(SubpixelUp(channels, channels // 2))
            channels //= 2
            self.decoders.append(_blocks(channels, blocks, window))

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
        x = self.middle_blks(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(up(x) + skip)  # (B, 2c, H/2, W/2) -> (B, c, H, W)
        restored = self.ending(x) + padded[:, : self.out_channels]
        return crop(restored, height, width)


class NAFBlock(nn.Module):
    """Depthwise convolution with gate and channel attention, then a gated feed-forward; each a scaled residual.

    `beta` and `gamma` start at zero, so that a new block is the identity. With a `window`, its side in pixels of this
    level, the attention's statistics are local.
    """

    skippable: ClassVar[bool] = True
    channel_scales: ClassVar = ("beta", "gamma")

    def __init__(self, channels: int, window: int = 0) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.sca = nn.Sequential(
            LocalMean(window) if window else nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1)
        )
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.gate = SimpleGate()
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        u = self.gate(self.conv2(self.conv1(self.norm1(x))))
        u = u * self.sca(u)  # simplified channel attention: one factor a channel, (B, C, 1, 1), or a pixel too
        y = x + self.beta * self.conv3(u)
        v = self.gate(self.conv4(self.norm2(y)))
        out: Tensor = y + self.gamma * self.conv5(v)
        return out

    def folded(self) -> nn.Module:
        """Return a block that computes the same in fewer passes."""
        return FoldedNAFBlock(self)


class FoldedNAFBlock(nn.Module):
    """A NAFBlock for inference: norms and residual scales lie in the convolutions, each gate's halves apart."""

    def __init__(self, block: NAFBlock) -> None:
        super().__init__()
        norm1, norm2 = block.norm1, block.norm2
        self.standardise1 = Standardise(len(norm1.weight), norm1.eps)
        self.conv1a, self.conv1b = parts(after_affine(block.conv1, norm1.weight, norm1.bias), 2)
        self.conv2a, self.conv2b = parts(block.conv2, 2)
        self.sca = block.sca
        self.conv3 = scaled(block.conv3, block.beta)
        self.standardise2 = Standardise(len(norm2.weight), norm2.eps)
        self.conv4a, self.conv4b = parts(after_affine(block.conv4, norm2.weight, norm2.bias), 2)
        self.conv5 = scaled(block.conv5, block.gamma)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        u = self.standardise1(x)
        u = self.conv2a(self.conv1a(u)) * self.conv2b(self.conv1b(u))
        y = x + self.conv3(u * self.sca(u))
        v = self.standardise2(y)
        out: Tensor = y + self.conv5(self.conv4a(v) * self.conv4b(v))
        return out


def _blocks(channels: int, count: int, window: int) -> nn.Sequential:
    return nn.Sequential(*[NAFBlock(channels, window) for _ in range(count)])
