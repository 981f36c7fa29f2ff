"""What can be taken out of a network: channels that belong together, and heads of attention.

Which tensors a channel runs through is found by following the graph (DepGraph, Fang et al. 2023, CVPR). Each network
says where to begin: its class lists name patterns of layers in `inner` (channels inside a block) and `stream` (the
features that blocks hand on: one group a level).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, cast

import torch
import torch_pruning as tp
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.estrnn import ResidualDenseBlock
from unblur.networks.layers import LayerNorm2d, SubpixelUp
from unblur.networks.maxim import ChannelMlp, ResidualAttention
from unblur.networks.restormer import ChannelAttention, GatedFeedForward

SIDE = 32
"""Of the images with which a network is followed."""

Part = tuple[str, Tensor, int, list[int], list[int]]


@dataclass(frozen=True)
class Unit:
    """Things that can be removed one by one.

    Attributes:
        name: of the layer where they begin.
        size: how many there are.
        stream: they are features that blocks hand on, not inner channels of one.
        heads: they are heads of attention.
        parts: (name, tensor, axis, places along the axis, which of the things each place belongs to).
        remove: takes the numbers of those to remove; the other units of the network must be found again after it.
    """

    name: str
    size: int
    stream: bool
    parts: list[Part]
    remove: Callable[[Sequence[int]], None]
    heads: bool = False


def find_units(network: nn.Module) -> list[Unit]:
    """Return the units of a network, in the order of its layers.

    Raises:
        UnblurError: the network does not say where its units begin.
    """
    inner, stream = getattr(network, "inner", ()), getattr(network, "stream_units", ())
    graph = _graph(network) if inner or stream else None
    units = []
    for name, module in network.named_modules():
        if isinstance(module, ChannelAttention) and len(module.temperature) > 1:
            units.append(_heads(name, module))
        elif isinstance(module, GatedFeedForward):
            units.append(_gates(name, module))
        elif isinstance(module, ResidualAttention):
            units.append(_between(f"{name}.conv1", module.conv1, module.conv2))
        elif isinstance(module, ChannelMlp):
            units.append(_between(f"{name}.expand", module.expand, module.project))
        elif isinstance(module, ResidualDenseBlock):
            units += [_growth(name, module, place) for place in range(len(module.dense_layers))]
        kinds = [kind for kind, patterns in ((False, inner), (True, stream)) if _matches(name, patterns)]
        if kinds:
            units.append(_channels(graph, network, name, module, stream=kinds[0]))
    if not units:
        msg = f"{type(network).__name__} does not say what can be pruned: its class has no `inner`"
        raise UnblurError(msg)
    return units


def example(network: nn.Module) -> Tensor:
    """Return an input small enough to follow or to count with: (1, 3, H, W), or a clip or burst of two."""
    shape = (1, 3) if getattr(network, "task", "image") == "image" else (1, 2, 3)
    side = max(SIDE, int(getattr(network, "multiple", 1)))
    return torch.rand(*shape, side, side)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _graph(network: nn.Module) -> tp.DependencyGraph:
    scales = [p for name, p in network.named_parameters() if name.endswith((".beta", ".gamma"))]
    with torch.enable_grad():
        graph: tp.DependencyGraph = tp.DependencyGraph().build_dependency(
            network,
            example(network),
            customized_pruners={LayerNorm2d: _NormPruner(), SubpixelUp: _SubpixelPruner()},
            unwrapped_parameters=[(scale, 1) for scale in scales],
            verbose=False,
        )
    return graph


def _channels(graph: tp.DependencyGraph, network: nn.Module, name: str, module: nn.Module, stream: bool) -> Unit:
    """Return the unit of a layer's outputs; a gate's halves go together, so it may have half as many things."""
    remove_out = tp.prune_linear_out_channels if isinstance(module, nn.Linear) else tp.prune_conv_out_channels
    outputs = int(module.out_features if isinstance(module, nn.Linear) else cast("nn.Conv2d", module).out_channels)
    first = graph.get_pruning_group(module, remove_out, idxs=[0])
    together = len(first[0].idxs)
    size = outputs // together
    whole = graph.get_pruning_group(module, remove_out, idxs=list(range(size)))
    names = {id(each): key for key, each in network.named_modules()}
    parts: list[Part] = []
    for dependency, places in whole:
        layer, key = dependency.layer, names.get(id(dependency.layer), "")
        owners = [place % size for place in places] if len(places) != size else list(range(size))
        axis = _axis(dependency, layer)
        if axis is not None:
            parts.append((key, layer.weight, axis, list(places), owners))

    def remove(chosen: Sequence[int]) -> None:
        graph.get_pruning_group(module, remove_out, idxs=list(chosen)).prune()

    return Unit(name, size, stream, parts, remove)


def _axis(dependency: Any, layer: nn.Module) -> int | None:  # noqa: ANN401 (torch-pruning has no types)
    """Return the axis of the layer's weight that a dependency removes from; None of what has no importance."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) or getattr(layer, "groups", 1) > 1:
        return None
    name = dependency.handler.__name__
    out = name == "prune_out_channels"
    return int(out) if isinstance(layer, nn.ConvTranspose2d) else int(not out)


def _heads(name: str, attention: ChannelAttention) -> Unit:
    heads = len(attention.temperature)
    each = attention.project_out.in_channels // heads

    def rows(chosen: Sequence[int], thirds: int) -> list[int]:
        width = heads * each
        return [t * width + h * each + i for t in range(thirds) for h in chosen for i in range(each)]

    every = list(range(heads))
    owners = [h for h in every for _ in range(each)]
    parts: list[Part] = [
        (f"{name}.qkv", attention.qkv.weight, 0, rows(every, 3), owners * 3),
        (f"{name}.project_out", attention.project_out.weight, 1, rows(every, 1), owners),
    ]

    def remove(chosen: Sequence[int]) -> None:
        tp.prune_conv_out_channels(attention.qkv, rows(chosen, 3))
        tp.prune_depthwise_conv_out_channels(attention.qkv_dwconv, rows(chosen, 3))
        tp.prune_conv_in_channels(attention.project_out, rows(chosen, 1))
        kept = [h for h in every if h not in set(chosen)]
        attention.temperature = nn.Parameter(attention.temperature.detach()[kept])

    return Unit(name, heads, stream=False, parts=parts, remove=remove, heads=True)


def _gates(name: str, ffn: GatedFeedForward) -> Unit:
    """Return the unit of a gated feed-forward's hidden channels: one of each half goes together."""
    size = ffn.project_out.in_channels
    every = list(range(size))

    def remove(chosen: Sequence[int]) -> None:
        both = [half * size + i for half in range(2) for i in chosen]
        tp.prune_conv_out_channels(ffn.project_in, both)
        tp.prune_depthwise_conv_out_channels(ffn.dwconv, both)
        tp.prune_conv_in_channels(ffn.project_out, list(chosen))

    parts: list[Part] = [
        (f"{name}.project_in", ffn.project_in.weight, 0, list(range(2 * size)), every * 2),
        (f"{name}.project_out", ffn.project_out.weight, 1, every, every),
    ]
    return Unit(f"{name}.project_in", size, stream=False, parts=parts, remove=remove)


def _between(name: str, first: nn.Conv2d, second: nn.Conv2d) -> Unit:
    """Return the unit of the channels between two convolutions that only the second takes in.

    MAXIM's blocks cannot be followed by the graph, which loses count where positions become channels.
    """
    every = list(range(first.out_channels))

    def remove(chosen: Sequence[int]) -> None:
        tp.prune_conv_out_channels(first, list(chosen))
        tp.prune_conv_in_channels(second, list(chosen))

    parts: list[Part] = [(name, first.weight, 0, every, every), (name, second.weight, 1, every, every)]
    return Unit(name, len(every), stream=False, parts=parts, remove=remove)


def _growth(name: str, block: ResidualDenseBlock, place: int) -> Unit:
    """Return the unit of one dense layer's outputs: every later layer of the block and its end take them in."""
    convs = [cast("nn.Conv2d", layer.conv) for layer in block.dense_layers]
    later = [*convs[place + 1 :], block.conv1x1]
    own = convs[place]
    every = list(range(own.out_channels))

    def start() -> int:  # of these outputs among what later layers take in; moves when other units lose something
        return convs[0].in_channels + sum(conv.out_channels for conv in convs[:place])

    parts: list[Part] = [(f"{name}.dense_layers.{place}.conv", own.weight, 0, every, every)]
    parts += [(name, conv.weight, 1, [start() + i for i in every], every) for conv in later]

    def remove(chosen: Sequence[int]) -> None:
        first = start()
        tp.prune_conv_out_channels(own, list(chosen))
        for conv in later:
            tp.prune_conv_in_channels(conv, [first + i for i in chosen])

    return Unit(f"{name}.dense_layers.{place}.conv", len(every), stream=False, parts=parts, remove=remove)


class _NormPruner(tp.BasePruningFunc):  # type: ignore[misc]
    """Layer norms over channels: weight and bias lose the same places."""

    def prune_out_channels(self, layer: nn.Module, idxs: Sequence[int]) -> nn.Module:
        kept = [i for i in range(self.get_out_channels(layer)) if i not in set(idxs)]
        for name, parameter in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, nn.Parameter(parameter.detach()[kept]))
        return layer

    prune_in_channels = prune_out_channels

    def get_out_channels(self, layer: nn.Module) -> int:
        return len(cast("Tensor", layer.weight))

    get_in_channels = get_out_channels


class _SubpixelPruner(tp.BasePruningFunc):  # type: ignore[misc]
    """A channel behind the pixel shuffle is four of the convolution."""

    def prune_out_channels(self, layer: SubpixelUp, idxs: Sequence[int]) -> nn.Module:
        tp.prune_conv_out_channels(layer[0], [4 * i + j for i in idxs for j in range(4)])
        return layer

    def prune_in_channels(self, layer: SubpixelUp, idxs: Sequence[int]) -> nn.Module:
        tp.prune_conv_in_channels(layer[0], list(idxs))
        return layer

    def get_out_channels(self, layer: SubpixelUp) -> int:
        return cast("nn.Conv2d", layer[0]).out_channels // 4

    def get_in_channels(self, layer: SubpixelUp) -> int:
        return cast("nn.Conv2d", layer[0]).in_channels
