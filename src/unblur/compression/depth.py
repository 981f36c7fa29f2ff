"""Takes whole residual blocks out of a network: what makes it faster where time goes into passes over its features."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from unblur.compression.units import example
from unblur.errors import UnblurError


def shallower(network: nn.Module, count: int, loss: Callable[[nn.Module], float]) -> nn.Module:
    """Return a copy of `network` without `count` blocks, one after the other the one whose loss hurts least.

    A block hurts by the loss that the network has without it, above that with it, for each feature value that the block
    computes: on processors where latency goes with the values that are written, that is dB for milliseconds.

    Args:
        network: in eval mode; stays as it is. Blocks whose class says `skippable` may go.
        count: blocks to take out.
        loss: of a network on some training images.

    Raises:
        UnblurError: the network has fewer blocks than that, one of which stays.
    """
    slimmer = copy.deepcopy(network)
    for _ in range(count):
        blocks = {name: module for name, module in slimmer.named_modules() if is_skippable(module)}
        if len(blocks) < 2:
            msg = f"prune.blocks is {count}, but {type(network).__name__} has no more blocks to take out; lower it"
            raise UnblurError(msg)
        written = _values(slimmer, blocks)
        before = loss(slimmer)
        hurts = {}
        for name, block in blocks.items():
            slimmer.set_submodule(name, nn.Identity())
            hurts[name] = (loss(slimmer) - before) / written[name]
            slimmer.set_submodule(name, block)
        slimmer.set_submodule(min(hurts, key=lambda name: hurts[name]), nn.Identity())
    return slimmer


def is_skippable(module: nn.Module) -> bool:
    """Return whether a module is a block that its class says may be left out."""
    return bool(getattr(module, "skippable", False))


def _values(network: nn.Module, blocks: dict[str, nn.Module]) -> dict[str, int]:
    """Return how many values each block gives for a small image."""
    found: dict[str, int] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda module, inputs, output: found.update({name: output.numel()})

    hooks = [block.register_forward_hook(note(name)) for name, block in blocks.items()]
    try:
        with torch.no_grad():
            network(example(network))
    finally:
        for hook in hooks:
            hook.remove()
    return found
