"""How large a network is, and how much it computes."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unblur.networks.description import describe
from unblur.records.latency import Complexity

FRAMES = 4
"""Of the clip or burst whose operations are counted."""


def complexity(network: nn.Module) -> Complexity:
    """Count without computing: a copy of the network runs on PyTorch's meta device, which has shapes but no data."""
    shapes = copy.deepcopy(network).to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        frames = 1 if describe(network).task == "image" else FRAMES
        clip = torch.empty(1, frames, 3, 256, 256, device="meta")
        shapes(clip[:, 0] if frames == 1 else clip)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Complexity(parameters, counter.get_total_flops() // 2 // frames)
