"""Training that feels eight bits: weights and layer inputs are rounded as they will be (Jacob et al. 2018, CVPR)."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
Hook = Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]


@contextlib.contextmanager
def fake_quantized(network: nn.Module, batches: Iterable[Tensor], ends: bool = False) -> Iterator[list[str]]:
    """Round the weights of the network's layers, and what they take in, until the end of the block.

    Gradients go through the rounding as if it were not there. Weights have a scale for each output channel, inputs one
    range, from the least to the greatest value that the batches give. Layers that see a single pixel stay as they are.

    Args:
        network: with convolutions and linear layers.
        batches: blurred images, to find the ranges.
        ends: the first and the last layer as well.

    Yields:
        The names of the layers that are rounded, in the order in which they run.
    """
    ranges = _input_ranges(network, batches)
    names = list(ranges) if ends else list(ranges)[1:-1]
    modules = dict(network.named_modules())
    hooks = [modules[name].register_forward_pre_hook(_rounding(*ranges[name])) for name in names]
    for name in names:
        parametrize.register_parametrization(modules[name], "weight", RoundedWeight(modules[name]))
    try:
        yield names
    finally:
        for hook in hooks:
            hook.remove()
        for name in names:
            parametrize.remove_parametrizations(modules[name], "weight", leave_parametrized=False)


class RoundedWeight(nn.Module):
    """A weight as int8 holds it: symmetric, with a scale for each output channel."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, rounded."""
        others = [axis for axis in range(weight.ndim) if axis != self.axis]
        scale = weight.detach().abs().amax(others).clamp_min(1e-8) / 127
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight.float(), scale.float(), zero, self.axis, -127, 127)


def _rounding(low: float, high: float) -> Hook:
    """Return a hook that rounds a layer's input to 256 steps from `low` to `high`."""
    scale = max(high - low, 1e-8) / 255
    zero = min(255, max(0, round(-low / scale)))

    def rounded(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (torch.fake_quantize_per_tensor_affine(inputs[0].float(), scale, zero, 0, 255), *inputs[1:])

    return rounded


def _input_ranges(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest input of each layer, 0 among them, in the order in which the layers run."""
    found: dict[str, tuple[float, float]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            given = inputs[0]
            if given.ndim == 4 and given.shape[-2:].numel() == 1:
                return  # behind a global pool
            low, high = found.get(name, (0.0, 0.0))
            found[name] = min(low, float(given.min())), max(high, float(given.max()))

        return note

    hooks = [
        module.register_forward_pre_hook(watch(name))
        for name, module in network.named_modules()
        if isinstance(module, Layer)
    ]
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return found
