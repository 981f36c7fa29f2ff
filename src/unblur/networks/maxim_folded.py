"""MAXIM for inference: norms lie in the layers behind them, and layers that follow each other are one."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.networks.folding import Standardise, after_affine, convolution
from unblur.networks.maxim_blocks import (
    LEVELS,
    ChannelMlp,
    Features,
    Gather,
    Level,
    ResidualAttention,
)
from unblur.networks.multi_axis import MultiAxisBlock, gelu
from unblur.networks.multi_axis_folded import FoldedCrossGate, FoldedMultiAxisBlock, FoldedNorm, transposed_then
from unblur.networks.resampling import resize_by


class FoldedStage(nn.Module):
    """A Stage whose skips go straight into the layers that take them."""

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        parts: Any = stage  # whose lists hold modules of known kinds
        self.inputs, self.downs, self.images = parts.inputs, parts.downs, parts.images
        self.attention = getattr(parts, "attention", None)
        self.input_gates = self.encoder_gates = None
        if hasattr(parts, "input_gates"):
            self.input_gates = nn.ModuleList(FoldedCrossGate(gate, gate.enter_x) for gate in parts.input_gates)
            self.encoder_gates = nn.ModuleList(FoldedCrossGate(gate, gate.enter_x) for gate in parts.encoder_gates)
        self.encoders = nn.ModuleList(FoldedBlocks(level) for level in parts.encoders)
        self.bottleneck = nn.Sequential(*(nn.Sequential(FoldedBlocks(block)) for block in parts.bottleneck))
        self.gates = nn.ModuleList(
            FoldedCrossGate(gate, FoldedGather(skips, gate.enter_x.weight, gate.enter_x.bias))
            for gate, skips in zip(parts.gates, parts.encoder_skips, strict=True)
        )
        self.ups, self.decoder_skips, self.decoders = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for up, skips, level in zip(parts.ups, parts.decoder_skips, parts.decoders, strict=True):
            own = up.out_channels
            self.ups.append(transposed_then(up, level.enter.weight[:, :own], level.enter.bias))
            self.decoder_skips.append(FoldedGather(skips, level.enter.weight[:, own:], None))
            self.decoders.append(FoldedBlocks(level, entered=True))

    def forward(
        self, scales: Sequence[Tensor], before: Features | None, detail: Tensor | None = None
    ) -> tuple[Tensor, Features]:
        """(B, 3, H, W) at three scales, the features of the stage before, and features that join the first scale."""
        inputs = [conv(image) for conv, image in zip(self.inputs, scales, strict=True)]
        if detail is not None:
            inputs[0] = inputs[0] + detail
        if before is not None and self.input_gates is not None:
            inputs = [gate(x, sam)[0] for gate, x, sam in zip(self.input_gates, inputs, before[2], strict=True)]
        x, encoded = inputs[0], []
        for level in range(LEVELS):
            x = self.encoders[level](torch.cat((x, inputs[level]), 1))
            if before is not None and self.encoder_gates is not None:
                x, _ = self.encoder_gates[level](x, before[0][level] + before[1][level])
            encoded.append(x)
            x = self.downs[level](x)
        x = self.bottleneck(x)
        gate, skips = x, [x] * LEVELS
        for level in reversed(range(LEVELS)):
            skips[level], gate = self.gates[level](encoded, gate)
        decoded = [x] * LEVELS
        for level in reversed(range(LEVELS)):
            x = self.decoders[level](self.ups[level](x) + self.decoder_skips[level](skips))
            decoded[level] = x
        images = [conv(y) + image for conv, y, image in zip(self.images, decoded, scales, strict=False)]
        if self.attention is None:
            return images[0], (encoded, decoded, [])
        attended = [part(y, image) for part, y, image in zip(self.attention, decoded, images, strict=True)]
        return images[0], (encoded, decoded, attended)


class FoldedGather(nn.Module):
    """A Gather and the 1x1 convolution that takes it, given by its weight and bias: a sum over the sources."""

    def __init__(self, gather: Gather, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.level = gather.level
        shares = weight.chunk(len(gather.convs), dim=1)
        shares = shares[::-1] if gather.upwards else shares
        self.convs = nn.ModuleList()
        convs: Any = gather.convs
        for source, (conv, share) in enumerate(zip(convs, shares, strict=True)):
            matrix = share[:, :, 0, 0]
            own = matrix @ conv.bias
            if bias is not None and source == 0:
                own = own + bias
            self.convs.append(convolution((matrix @ conv.weight[:, :, 0, 0])[:, :, None, None], own))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Bring each source to the level, and add."""
        brought = []
        for source, (conv, x) in enumerate(zip(self.convs, features, strict=True)):
            steps = source - self.level
            brought.append(resize_by(conv(x), steps) if steps > 0 else conv(resize_by(x, steps)))
        return functools.reduce(torch.add, brought)


class FoldedBlocks(nn.Module):
    """A Level; with `entered` its first layer lies in those that feed it."""

    def __init__(self, blocks: Level, entered: bool = False) -> None:
        super().__init__()
        self.enter = nn.Identity() if entered else blocks.enter
        made: list[nn.Module] = []
        for mix, attend in zip(blocks.mix, blocks.attend, strict=True):
            made += [_folded(mix), _folded(attend)]
        self.blocks = nn.Sequential(*made)

    def forward(self, x: Tensor) -> Tensor:
        """The blocks with a long skip."""
        entered = self.enter(x)
        out: Tensor = self.blocks(entered) + entered
        return out


class FoldedResidualAttention(nn.Module):
    """A ResidualAttention in the memory layout of its convolutions."""

    def __init__(self, block: ResidualAttention) -> None:
        super().__init__()
        self.norm = FoldedNorm(block.norm)
        self.conv1, self.conv2, self.attention = block.conv1, block.conv2, block.attention

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        out: Tensor = x + self.attention(self.conv2(F.leaky_relu(self.conv1(self.norm(x)), 0.2)))
        return out


class FoldedChannelMlp(nn.Module):
    """A ChannelMlp whose norm lies in its first layer."""

    def __init__(self, block: ChannelMlp) -> None:
        super().__init__()
        self.standardise = Standardise(len(block.norm.weight), block.norm.eps)
        self.expand = after_affine(block.expand, block.norm.weight, block.norm.bias)
        self.project, self.attention = block.project, block.attention

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        out: Tensor = x + self.attention(self.project(gelu(self.expand(self.standardise(x)))))
        return out


def _folded(block: nn.Module) -> nn.Module:
    """Return the block for inference; one that was pruned away stays away."""
    if isinstance(block, MultiAxisBlock):
        return FoldedMultiAxisBlock(block)
    if isinstance(block, ResidualAttention):
        return FoldedResidualAttention(block)
    return FoldedChannelMlp(block) if isinstance(block, ChannelMlp) else block
