"""How much each thing that could be removed matters, by its weights, its gradients or its features."""

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from unblur.compression.units import Unit
from unblur.errors import UnblurError

KINDS = ("magnitude", "taylor", "features")

Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


def importance(kind: str, network: nn.Module, units: Sequence[Unit], batches: Batches, loss: Loss) -> list[Tensor]:
    """Return, for each unit, one figure for each of its things: (size,), of mean 1.

    Args:
        kind: magnitude is the root mean square of the weights that would go (Li et al. 2017, ICLR); taylor the loss's
            first-order change without them, |weight x gradient| (Molchanov et al. 2019, CVPR); features the mean
            absolute value of what the unit's layer gives.
        network: whose units they are, in eval mode; its gradients are cleared.
        units: of `find_units`.
        batches: blurred and sharp images of training; magnitude needs none.
        loss: of (restored, sharp).

    Raises:
        UnblurError: the kind is unknown.
    """
    if kind not in KINDS:
        msg = f"unknown importance {kind!r}; known: {', '.join(KINDS)}"
        raise UnblurError(msg)
    if kind == "magnitude":
        found = [_over_parts(unit, torch.square) for unit in units]
    elif kind == "taylor":
        found = _taylor(network, units, batches, loss)
    else:
        found = _features(network, units, batches)
    return [scores / scores.mean().clamp_min(1e-12) for scores in found]


def _taylor(network: nn.Module, units: Sequence[Unit], batches: Batches, loss: Loss) -> list[Tensor]:
    network.zero_grad()
    with torch.enable_grad():
        for blur, sharp in batches:
            torch.autograd.backward(loss(network(blur), sharp))
    found = [_over_parts(unit, lambda weight: (weight * cast("Tensor", weight.grad)).abs()) for unit in units]
    network.zero_grad()
    return found


def _features(network: nn.Module, units: Sequence[Unit], batches: Batches) -> list[Tensor]:
    modules = dict(network.named_modules())
    sums: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            axis = -1 if isinstance(module, nn.Linear) else 1
            level = output.detach().abs().transpose(axis, 0).flatten(1).mean(1)
            sums[name] = sums.get(name, torch.zeros_like(level)) + level

        return add

    first = {unit.parts[0][0] for unit in units}
    hooks = [modules[name].register_forward_hook(watch(name)) for name in first]
    try:
        with torch.no_grad():
            for blur, _ in batches:
                network(blur)
    finally:
        for hook in hooks:
            hook.remove()
    found = []
    for unit in units:
        name, _, _, places, owners = unit.parts[0]
        found.append(torch.zeros(unit.size).index_add_(0, torch.tensor(owners), sums[name].cpu()[places]))
    return found


def _over_parts(unit: Unit, measure: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the root of the mean of `measure` over all weights that go with each thing."""
    total, count = torch.zeros(unit.size), torch.zeros(unit.size)
    for _, weight, axis, places, owners in unit.parts:
        with torch.no_grad():
            values = measure(weight).detach().cpu().transpose(axis, 0).flatten(1)[places]
        index = torch.tensor(owners)
        total.index_add_(0, index, values.sum(1))
        count.index_add_(0, index, torch.full((len(owners),), float(values.shape[1])))
    return (total / count).sqrt()
