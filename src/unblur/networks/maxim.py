"""MAXIM: multi-axis gated MLPs in a U-shape, repeated in stages (Tu et al. 2022, CVPR), variant S.

Each stage restores the image; the next sees its features, gated by that image. The published network has three
stages; the image of the first alone is nearly as good at a quarter of the cost. Blur has taken the finest detail, so
much of what a stage gives back is seen at half of the resolution too, at a quarter of the cost once more.
"""

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.layers import crop, pad_to_multiple
from unblur.networks.maxim_blocks import (
    LEVELS,
    ChannelMlp,
    Features,
    Gather,
    Level,
    ResidualAttention,
    SupervisedAttention,
)
from unblur.networks.maxim_folded import FoldedStage
from unblur.networks.multi_axis import CrossGate
from unblur.networks.resampling import resize_by


class MAXIM(nn.Module):
    """Restores (B, 3, H, W) to (B, 3, H, W), both RGB in [0, 1]; any H and W from 1 on.

    The grid of the global mixing spans the whole input, so a tile gives slightly other pixels than the whole image.

    Args:
        width: channels at full resolution; each of the two levels below has twice as many.
        stages: 1, 2 or 3; the published weights have three. With fewer, the image is the one that the supervised
            attention module of the last stage makes.
        groups: multi-axis block and channel attention block, so many times at each level.
        bottleneck_blocks: blocks at an eighth of the resolution.
        reduction: 1, 2, 4 or 8. The stages see the image at so many times fewer pixels along each side, and what they
            add is enlarged again. Two convolutions carry the detail in between, in and out; they begin at 0.
        shrinkage: what is added is multiplied by Wiener's weight e / (e + shrinkage**2), e its mean square nearby. So
            corrections weaker than this, in units of the image, are taken for mistakes; 0 keeps all.

    Raises:
        UnblurError: the number of stages or the reduction is none of these, or the shrinkage is negative.
    """

    task: ClassVar[str] = "image"

    def __init__(
        self,
        width: int = 32,
        stages: int = 3,
        groups: int = 2,
        bottleneck_blocks: int = 2,
        *,
        reduction: int = 1,
        shrinkage: float = 0.0,
    ) -> None:
        super().__init__()
        if stages not in (1, 2, 3) or reduction not in (1, 2, 4, 8):
            msg = (
                "MAXIM has 1, 2 or 3 stages and a reduction of 1, 2, 4 or 8; "
                f"got stages={stages} and reduction={reduction}"
            )
            raise UnblurError(msg)
        if shrinkage < 0:
            msg = f"MAXIM's shrinkage is 0 or more; got {shrinkage}"
            raise UnblurError(msg)
        self.reduction, self.shrinkage = reduction, shrinkage
        self.multiple = 64 * reduction
        if reduction > 1:
            self.detail_in = nn.Conv2d(3, width, 3 * reduction, stride=reduction, padding=reduction, bias=False)
            self.detail_out = nn.Conv2d(width, 3 * reduction**2, 3, padding=1)
            for zero in (self.detail_in.weight, self.detail_out.weight, cast("Tensor", self.detail_out.bias)):
                nn.init.zeros_(zero)
        self.stages = nn.ModuleList(
            Stage(width, groups, bottleneck_blocks, first=index == 0, last=index == stages - 1)
            for index in range(stages)
        )

    def forward(self, blur: Tensor) -> Tensor:
        """Return the restored image; values may leave [0, 1] a little."""
        height, width = blur.shape[-2:]
        padded = pad_to_multiple(blur, self.multiple)
        low = F.avg_pool2d(padded, self.reduction) if self.reduction > 1 else padded
        # Nearest neighbours: the middle of two pixels rounds up.
        scales = [low, low[..., 1::2, 1::2], low[..., 2::4, 2::4]]
        detail = self.detail_in(padded) if self.reduction > 1 else None
        before: Features | None = None
        image = low
        for stage in self.stages:
            image, before = stage(scales, before, detail)
        added, steps = image - low, self.reduction.bit_length() - 1
        weight = wiener_weight(added, self.shrinkage) if self.shrinkage else None
        if before is not None and self.reduction > 1:
            added = resize_by(added, steps) + F.pixel_shuffle(self.detail_out(before[1][0]), self.reduction)
        if weight is not None:
            added = added * resize_by(weight, steps)
        image = padded + added
        return crop(image, height, width)


def wiener_weight(correction: Tensor, shrinkage: float) -> Tensor:
    """Return e / (e + shrinkage**2), (B, 1, H, W), e the mean square of a correction (B, 3, H, W) nearby.

    Nearby is a square of 8 pixels and its neighbours, between which the mean is interpolated.
    """
    energy = F.avg_pool2d(correction.square().mean(1, keepdim=True), 8)
    energy = resize_by(energy, 3)
    return energy / (energy + shrinkage**2)


class Stage(nn.Module):
    """A U-Net whose skips are gated by the features from below; returns the image and what the next stage takes.

    Args:
        width: channels at full resolution.
        groups: of a multi-axis block and a channel attention block at each level.
        bottleneck_blocks: blocks at an eighth of the resolution.
        first: nothing comes from a stage before.
        last: nothing is prepared for a stage after.
    """

    def __init__(self, width: int, groups: int, bottleneck_blocks: int, *, first: bool, last: bool) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(LEVELS)]
        sides = [16, 16, 8]
        self.inputs = nn.ModuleList(nn.Conv2d(3, c, 3, padding=1) for c in channels)
        pairs = list(zip(channels, sides, strict=True))
        if not first:
            self.input_gates = nn.ModuleList(CrossGate(c, c, side) for c, side in pairs)
            self.encoder_gates = nn.ModuleList(CrossGate(c, c, side) for c, side in pairs)
        below = [channels[0], *channels[:-1]]
        self.encoders = nn.ModuleList(
            Level(b + c, c, side, groups, ResidualAttention) for b, (c, side) in zip(below, pairs, strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv2d(c, c, 4, stride=2, padding=1) for c in channels)
        self.bottleneck = nn.ModuleList(
            Level(channels[-1], channels[-1], sides[-1], groups, ChannelMlp) for _ in range(bottleneck_blocks)
        )
        self.encoder_skips = nn.ModuleList(Gather(channels, level) for level in range(LEVELS))
        deeper = [*channels[1:], channels[-1]]
        self.gates = nn.ModuleList(
            CrossGate(LEVELS * c, c, side, d, up=True) for d, (c, side) in zip(deeper, pairs, strict=True)
        )
        self.decoder_skips = nn.ModuleList(Gather(channels, level, upwards=True) for level in range(LEVELS))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(d, c, 2, stride=2) for c, d in zip(channels, deeper, strict=True))
        self.decoders = nn.ModuleList(Level((1 + LEVELS) * c, c, side, groups, ResidualAttention) for c, side in pairs)
        images = channels[:1] if last else channels
        self.images = nn.ModuleList(nn.Conv2d(c, 3, 3, padding=1) for c in images)
        if not last:
            self.attention = nn.ModuleList(SupervisedAttention(c) for c in channels)

    def forward(
        self, scales: Sequence[Tensor], before: Features | None, detail: Tensor | None = None
    ) -> tuple[Tensor, Features]:
        """(B, 3, H, W) at three scales, the features of the stage before, and features that join the first scale."""
        inputs = [conv(image) for conv, image in zip(self.inputs, scales, strict=True)]
        if detail is not None:
            inputs[0] = inputs[0] + detail
        if before is not None:
            inputs = [gate(x, sam)[0] for gate, x, sam in zip(self.input_gates, inputs, before[2], strict=True)]

        x, encoded = inputs[0], []
        for level in range(LEVELS):
            x = self.encoders[level](torch.cat((x, inputs[level]), 1))
            if before is not None:
                x, _ = self.encoder_gates[level](x, before[0][level] + before[1][level])
            encoded.append(x)
            x = self.downs[level](x)  # (B, c, h, w) -> (B, c, h/2, w/2)
        for block in self.bottleneck:
            x = block(x)

        gate, skips = x, [x] * LEVELS
        for level in reversed(range(LEVELS)):
            skips[level], gate = self.gates[level](self.encoder_skips[level](encoded), gate)

        decoded = [x] * LEVELS
        for level in reversed(range(LEVELS)):
            gathered = self.decoder_skips[level](skips)
            x = self.decoders[level](torch.cat((self.ups[level](x), gathered), 1))
            decoded[level] = x
        images = [conv(y) + image for conv, y, image in zip(self.images, decoded, scales, strict=False)]
        if len(images) < LEVELS:
            return images[0], (encoded, decoded, [])
        attended = [part(y, image) for part, y, image in zip(self.attention, decoded, images, strict=True)]
        return images[0], (encoded, decoded, attended)

    def folded(self) -> nn.Module:
        """Return a stage that computes the same in fewer passes."""
        return FoldedStage(self)
