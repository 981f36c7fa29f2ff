"""ResUNet: a residual U-Net of dense 3x3 convolutions, for CPUs and phones.

After DRUNet (Zhang et al. 2022, IEEE TPAMI). No norms, gates, depthwise convolutions or global pools: those are bound
by memory on CPUs, lose quality when quantized, or see more than a tile. The stem trades resolution for channels
(PixelUnshuffle, Shi et al. 2016, CVPR).
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from unblur.networks.layers import crop, pad_to_multiple


class ResUNet(nn.Module):
    """Restores (B, 3, H, W) to (B, 3, H, W), both RGB in [0, 1]; any H and W from 1 on.

    A pixel of the output depends on `reach` pixels around it and on nothing else: tiles with that margin, that start at
    multiples of `multiple`, give exactly what the whole image gives.

    Args:
        width: channels behind the stem; each level below has twice as many.
        blocks: residual blocks at each level but the last on the way down, and again on the way up.
        middle_blocks: residual blocks at the lowest level.
        shuffle: how much smaller the stem makes the image: 2 or 4; 1 leaves it.
    """

    task: ClassVar[str] = "image"
    inner: ClassVar = ("*.conv1",)
    stream_units: ClassVar = ("stem.1", "downs.*")

    def __init__(
        self, width: int = 32, blocks: Sequence[int] = (2, 2), middle_blocks: int = 2, shuffle: int = 2
    ) -> None:
        super().__init__()
        self.multiple = shuffle * 2 ** len(blocks)
        self.reach = _reach(blocks, middle_blocks, shuffle)
        self.stem = nn.Sequential(nn.PixelUnshuffle(shuffle), nn.Conv2d(3 * shuffle**2, width, 3, padding=1))
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        channels = width
        for count in blocks:
            self.encoders.append(_level(channels, count))
            self.downs.append(nn.Conv2d(channels, 2 * channels, 2, stride=2))
            channels *= 2
        self.middle = _level(channels, middle_blocks)
        for count in reversed(blocks):
            self.ups.append(nn.ConvTranspose2d(channels, channels // 2, 2, stride=2))
            channels //= 2
            self.decoders.append(_level(channels, count))
        self.head = nn.Sequential(nn.Conv2d(width, 3 * shuffle**2, 3, padding=1), nn.PixelShuffle(shuffle))
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)  # a new network returns its input

    def forward(self, blur: Tensor) -> Tensor:
        """Return the restored image; values may leave [0, 1] a little."""
        height, width = blur.shape[-2:]
        padded = pad_to_multiple(blur, self.multiple)

        x = self.stem(padded)  # (B, 3, H, W) -> (B, c, H/s, W/s)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)  # halves the size, doubles the channels
        x = self.middle(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(up(x) + skip)
        return crop(padded + self.head(x), height, width)


class ResidualBlock(nn.Module):
    """Two convolutions with a ReLU between, which quantizes without loss; their sum with the input comes out."""

    skippable: ClassVar[bool] = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.ReLU()
        nn.init.kaiming_normal_(self.conv1.weight)
        nn.init.normal_(self.conv2.weight, std=0.1 * (2 / (9 * channels)) ** 0.5)  # nearly the identity at first

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        out: Tensor = x + self.conv2(self.activation(self.conv1(x)))
        return out


def _level(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(channels) for _ in range(blocks)])


def _reach(blocks: Sequence[int], middle_blocks: int, shuffle: int) -> int:
    """Return how far a pixel of the output sees: each 3x3 convolution one pixel of its level, each halving its cell."""
    convolutions = 2 * shuffle  # stem and head
    for level, count in enumerate(blocks):
        convolutions += 2 * 2 * count * shuffle * 2**level
    coarsest: int = shuffle * 2 ** len(blocks)
    return convolutions + 2 * middle_blocks * coarsest + coarsest - 1
