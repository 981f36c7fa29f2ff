"""What a network says of itself: one protocol, whose every entry has a default.

A network's class, or the network, says more by attributes of these names. A block says by `skippable` that it may be
left out, by `folded` how it computes the same faster (`unblur.networks.folding`), by `channel_scales` which of its
parameters have one value a channel, and by `removable` what can be taken out of it where the graph does not tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

Place = tuple[str, str, list[int]]


@dataclass(frozen=True)
class Description:
    """What the rest of the program knows of a network.

    Attributes:
        task: image takes and returns (B, 3, H, W); burst takes (B, K, 3, H, W) and returns the first shot restored;
            video takes and returns (B, T, 3, H, W), and the network is a `unblur.networks.streaming.StreamingNetwork`.
        multiple: the network pads height and width to multiples of this many pixels by itself.
        reach: an output pixel depends on so many pixels around it and on no others; None if on all.
        inner: patterns of the names of layers whose outputs are channels inside a block, which pruning may take out.
        stream_units: patterns of the names of layers whose outputs are features that blocks hand on.
    """

    task: str = "image"
    multiple: int = 1
    reach: int | None = None
    inner: Sequence[str] = ()
    stream_units: Sequence[str] = ()


def describe(network: nn.Module) -> Description:
    """Return what a network says of itself, and the defaults for what it does not say."""
    said = {each.name: getattr(network, each.name) for each in fields(Description) if hasattr(network, each.name)}
    return Description(**said)


class Removable(NamedTuple):
    """Things inside a block that can be taken out one by one, such as heads of attention or hidden channels.

    Attributes:
        size: how many there are.
        places: (layer, side, owners) of every tensor that they run through, that of their first layer first. `layer` is
            the name of a submodule of the block, or of a parameter with the side "values". The side of a convolution is
            "out", "in", or "each" of a depthwise one. `owners` gives for each place along that side which of the things
            it belongs to, or -1 for none of them.
        heads: they are heads of attention, any number of which may stay.
    """

    size: int
    places: list[Place]
    heads: bool = False


@runtime_checkable
class SaysWhatIsRemovable(Protocol):
    """A block in which things can be taken out."""

    def removable(self) -> list[Removable]:
        """Return what can be taken out of it, as it is now."""
        ...


def hidden_channels(first: str, second: str, count: int) -> Removable:
    """Return the `count` channels that convolution `first` gives and convolution `second` alone takes in."""
    every = list(range(count))
    return Removable(count, [(first, "out", every), (second, "in", every)])


def channel_scales(network: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters (1, C, 1, 1) that blocks say have one value a channel."""
    for module in network.modules():
        for name in getattr(module, "channel_scales", ()):
            yield getattr(module, name)
