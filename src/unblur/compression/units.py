"""What can be taken out of a network: channels that belong together, and heads of attention.

Which tensors a channel runs through is found by following the graph (DepGraph, Fang et al. 2023, CVPR). Each network
says where to begin: its class has patterns of layers in `inner` (channels inside a block) and `stream_units` (the
features that blocks hand on: one group a level). What the graph cannot tell, a block declares (`removable`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, cast

import torch
import torch_pruning as tp
from torch import Tensor, nn

from unblur.networks.description import SaysWhatIsRemovable, channel_scales, describe
from unblur.networks.layers import LayerNorm2d, SubpixelUp

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
    """Return the units of a network, in the order of its layers; none if it does not say where they begin."""
    said = describe(network)
    kinds = ((False, said.inner), (True, said.stream_units))
    graph = _graph(network) if said.inner or said.stream_units else None
    units = []
    for name, module in network.named_modules():
        if isinstance(module, SaysWhatIsRemovable):
            units += [_declared(name, module, index) for index in range(len(module.removable()))]
        streams = [stream for stream, patterns in kinds if _matches(name, patterns)]
        if streams:
            units.append(_channels(graph, network, name, module, stream=streams[0]))
    return units


def example(network: nn.Module) -> Tensor:
    """Return an input small enough to follow or to count with: (1, 3, H, W), or a clip or burst of two."""
    said = describe(network)
    shape = (1, 3) if said.task == "image" else (1, 2, 3)
    side = max(SIDE, said.multiple)
    return torch.rand(*shape, side, side)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _graph(network: nn.Module) -> tp.DependencyGraph:
    with torch.enable_grad():
        graph: tp.DependencyGraph = tp.DependencyGraph().build_dependency(
            network,
            example(network),
            customized_pruners={LayerNorm2d: _NormPruner(), SubpixelUp: _SubpixelPruner()},
            unwrapped_parameters=[(scale, 1) for scale in channel_scales(network)],
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


def _declared(name: str, block: SaysWhatIsRemovable, index: int) -> Unit:
    """Return the unit that a block declares in its place `index`."""
    size, places, heads = block.removable()[index]
    parts = []
    for layer, side, owners in places:
        if side in ("out", "in"):
            weight = cast("nn.Conv2d", cast("nn.Module", block).get_submodule(layer)).weight
            there = [place for place, owner in enumerate(owners) if owner >= 0]
            parts.append((_joined(name, layer), weight, int(side == "in"), there, [owners[place] for place in there]))

    def remove(chosen: Sequence[int]) -> None:
        for layer, side, owners in block.removable()[index].places:  # anew: places move when other units lose some
            _take_out(cast("nn.Module", block), layer, side, [i for i, owner in enumerate(owners) if owner in chosen])

    return Unit(_joined(name, places[0][0]), size, stream=False, parts=parts, remove=remove, heads=heads)


def _take_out(block: nn.Module, layer: str, side: str, places: list[int]) -> None:
    if side == "values":
        around, _, own = layer.rpartition(".")
        holder = block.get_submodule(around)
        values = getattr(holder, own).detach()
        kept = [i for i in range(len(values)) if i not in set(places)]
        setattr(holder, own, nn.Parameter(values[kept]))
        return
    prune = {
        "out": tp.prune_conv_out_channels,
        "in": tp.prune_conv_in_channels,
        "each": tp.prune_depthwise_conv_out_channels,
    }
    prune[side](block.get_submodule(layer), places)


def _joined(name: str, inner: str) -> str:
    return f"{name}.{inner}" if name else inner


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
