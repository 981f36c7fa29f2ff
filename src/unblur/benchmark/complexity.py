"""How large a network is, and how much it computes."""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Complexity:
    """Parameters, and multiply-accumulate operations for one 256x256 RGB image (convolutions and matrix products)."""

    parameters: int
    macs_256: int


def complexity(network: nn.Module) -> Complexity:
    """Count without computing: a copy of the network runs on PyTorch's meta device, which has shapes but no data."""
    shapes = copy.deepcopy(network).to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shapes(torch.empty(1, 3, 256, 256, device="meta"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Complexity(parameters, counter.get_total_flops() // 2)
