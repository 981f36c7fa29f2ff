"""A burst of shots of one scene to one image, whatever their order (Aittala and Durand 2018, ECCV), with NAFBlocks.

Here the shots are aligned to the reference first: the tracks alone do not learn that in short trainings.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.alignment import SCALES, aligned
from unblur.networks.layers import SubpixelUp, crop, pad_to_multiple
from unblur.networks.nafnet import NAFBlock


class BurstNet(nn.Module):
    """Restores the first, the reference, of the shots (B, K, 3, H, W) to (B, 3, H, W), RGB in [0, 1]; any K, H and W.

    Every shot, aligned to the reference, goes beside it through the same U-shaped track. At each level the maximum over
    the shots is given back to all tracks, and the last features are the maximum too: the output does not depend on the
    order of the shots after the first, and any number of them will do.

    Args:
        width: channels at full resolution; each level below has twice as many.
        encoder_blocks: blocks at each level on the way down, full resolution first.
        middle_blocks: blocks at the lowest resolution.
        decoder_blocks: blocks at each level on the way up, lowest resolution first.

    Raises:
        UnblurError: the two lists differ in length.
    """

    task: ClassVar[str] = "burst"
    inner: ClassVar = ("*.conv1", "*.conv4")

    def __init__(
        self,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 2, 4),
        middle_blocks: int = 4,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(decoder_blocks):
            msg = (
                f"BurstNet has {len(encoder_blocks)} encoder levels and {len(decoder_blocks)} decoder levels: "
                "give encoder_blocks and decoder_blocks the same length"
            )
            raise UnblurError(msg)
        self.multiple = max(2 ** len(encoder_blocks), SCALES[0])
        self.intro = nn.Conv2d(6, width, 3, padding=1)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        for parameter in self.ending.parameters():
            nn.init.zeros_(parameter)  # a new network returns its reference
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        channels = width
        for blocks in encoder_blocks:
            self.encoders.append(SharedLevel(channels, blocks))
            self.downs.append(nn.Conv2d(channels, 2 * channels, 2, stride=2))
            channels *= 2
        self.middle = SharedLevel(channels, middle_blocks)
        for blocks in decoder_blocks:
            self.ups.append(SubpixelUp(channels, channels // 2))
            channels //= 2
            self.decoders.append(SharedLevel(channels, blocks))

    def forward(self, burst: Tensor) -> Tensor:
        """Return the restored reference; values may leave [0, 1] a little."""
        batch, shots = burst.shape[:2]
        height, width = burst.shape[-2:]
        reference = burst[:, 0]
        each = pad_to_multiple(burst.flatten(0, 1), self.multiple, "replicate")  # (B K, 3, H, W)
        references = each.reshape(batch, shots, *each.shape[1:])[:, :1].expand(-1, shots, -1, -1, -1).flatten(0, 1)
        pairs = torch.cat([aligned(each, references), references], dim=1)  # (B K, 6, H, W)

        x = self.intro(pairs)  # -> (B K, c, H, W)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x, shots)
            skips.append(x)
            x = down(x)  # (B K, c, H, W) -> (B K, 2c, H/2, W/2)
        x = self.middle(x, shots)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(up(x) + skip, shots)
        best = x.reshape(batch, shots, *x.shape[1:]).amax(dim=1)  # (B K, c, H, W) -> (B, c, H, W)
        return reference + crop(self.ending(best), height, width)


class SharedLevel(nn.Module):
    """NAFBlocks on each shot alone, then the maximum over the burst joined to each."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*[NAFBlock(channels) for _ in range(blocks)])
        self.join = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, shots: int) -> Tensor:
        """(B K, C, H, W) -> the same."""
        x = self.blocks(x)
        each = x.reshape(-1, shots, *x.shape[1:])  # (B, K, C, H, W)
        most = each.amax(dim=1, keepdim=True).expand_as(each).flatten(0, 1)
        out: Tensor = x + self.join(torch.cat([x, most], dim=1))
        return out
