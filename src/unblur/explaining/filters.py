"""Which filters deblur: those whose masking takes the correction away (after FAIG, Xie et al. 2021, NeurIPS).

FAIG attributes the difference of two networks to filters. Here the network is its own baseline: each filter has a gate,
and the gradient of what the correction has in common with the truth, by that gate, says what the filter adds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.records.explanation import Filters

SHARE = 0.01
DRAWS = 3  # random masks beside


@dataclass(frozen=True)
class Example:
    """A blurred picture and its truth, each (1, 3, h, w)."""

    blurred: Tensor
    truth: Tensor


def filters_that_deblur(
    network: nn.Module,
    learned: Sequence[Example],
    blurred: Sequence[Example],
    sharp: Sequence[Example],
    *,
    seed: int = 0,
) -> Filters:
    """Return what is left of the gain when the one per cent of filters that deblur is masked, and when others are.

    Args:
        network: of photographs.
        learned: pairs that the filters are found on.
        blurred: other pairs, on which the gain is measured.
        sharp: nearly sharp pairs, which masking should leave as they are.
        seed: of the random masks.
    """
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    last = _last(network, layers, learned[0].blurred)  # its filters are the colours of the answer
    gates = {name: torch.ones(module.out_channels) for name, module in layers.items() if name != last}
    effects = _effects(network, layers, gates, learned)
    names = [(name, i) for name, gate in gates.items() for i in range(len(gate))]
    values = np.concatenate([effects[name] for name in gates])
    count = max(1, round(SHARE * len(names)))
    chosen = np.argsort(-values)[:count]
    rng = np.random.default_rng(seed)

    def gains(which: NDArray[np.int64]) -> tuple[float, float]:
        closed = {name: gate.clone() for name, gate in gates.items()}
        for number in which:
            name, channel = names[number]
            closed[name][channel] = 0
        with torch.no_grad(), _gated(layers, closed):
            return _gain(network, blurred), _gain(network, sharp)

    whole = gains(np.zeros(0, np.int64))
    without = gains(chosen)
    random = np.mean([gains(rng.choice(len(names), count, replace=False)) for _ in range(DRAWS)], axis=0)
    return Filters(
        filters=len(names),
        masked=count,
        gain=whole[0],
        gain_without=without[0],
        gain_without_random=float(random[0]),
        sharp_gain=whole[1],
        sharp_gain_without=without[1],
        where=", ".join(sorted({names[number][0] for number in chosen})),
    )


def _effects(
    network: nn.Module, layers: dict[str, nn.Conv2d], gates: dict[str, Tensor], pairs: Sequence[Example]
) -> dict[str, NDArray[np.float64]]:
    """Return for each filter what it adds to the share of the missing detail that the network brings back."""
    total = {name: np.zeros(len(gate)) for name, gate in gates.items()}
    for pair in pairs:
        open_gates = {name: gate.clone().requires_grad_() for name, gate in gates.items()}
        missing = pair.truth - pair.blurred
        with _gated(layers, open_gates):
            correction = network(pair.blurred) - pair.blurred
        share = (correction * missing).sum() / missing.square().sum().clamp_min(1e-12)
        for name, gradient in zip(gates, torch.autograd.grad(share, list(open_gates.values())), strict=True):
            total[name] += gradient.double().numpy()
    return total


def _last(network: nn.Module, layers: dict[str, nn.Conv2d], picture: Tensor) -> str:
    """Return the layer that runs last."""
    ran: list[str] = []
    handles = [layer.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, layer in layers.items()]
    with torch.no_grad():
        network(picture)
    for handle in handles:
        handle.remove()
    return ran[-1]


def _gain(network: nn.Module, pairs: Sequence[Example]) -> float:
    """Return the mean gain in dB over the blurred picture; 0 without pairs."""
    gains = []
    for pair in pairs:
        before, after = ((each - pair.truth).square().mean() for each in (pair.blurred, network(pair.blurred)))
        gains.append(float(10 * torch.log10(before.clamp_min(1e-10) / after.clamp_min(1e-10))))
    return float(np.mean(gains)) if gains else 0.0


@contextmanager
def _gated(layers: dict[str, nn.Conv2d], gates: dict[str, Tensor]) -> Iterator[None]:
    """Multiply what each filter gives by its gate."""

    def hook(gate: Tensor) -> object:
        return lambda module, given, output: output * gate[:, None, None]

    handles = [layers[name].register_forward_hook(hook(gate)) for name, gate in gates.items()]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
