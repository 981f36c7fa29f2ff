import torch
from torch import nn

from unblur.benchmark.complexity import complexity


def test_one_convolution_is_counted_by_hand():
    network = nn.Conv2d(3, 5, 3, padding=1, stride=2)
    before = network.weight.detach().clone()
    counted = complexity(network)
    assert counted.parameters == 5 * 3 * 9 + 5
    assert counted.macs_256 == 128 * 128 * 5 * 3 * 9
    assert torch.equal(network.weight, before)  # counting works on a copy
