from types import SimpleNamespace

import torch
from torch import nn

from unblur.compression.prune import prune
from unblur.networks.description import Description, Removable, channel_scales, describe, hidden_channels
from unblur.networks.nafnet import NAFBlock
from unblur.networks.restormer import ChannelAttention


def test_what_a_network_does_not_say_has_a_default():
    assert describe(nn.Conv2d(3, 3, 1)) == Description("image", 1, None, (), ())
    silent = nn.Identity()
    silent.reach = 7
    assert describe(silent).reach == 7


def test_hidden_channels_leave_one_layer_and_enter_the_next():
    assert hidden_channels("a", "b", 2) == Removable(2, [("a", "out", [0, 1]), ("b", "in", [0, 1])])


def test_each_head_has_its_share_of_queries_keys_and_values():
    (heads,) = ChannelAttention(8, 2).removable()
    assert heads.heads
    assert heads.places[0] == ("qkv", "out", [0, 0, 0, 0, 1, 1, 1, 1] * 3)
    assert ChannelAttention(8, 1).removable() == []


def test_scales_of_a_channel_are_found():
    block = NAFBlock(4)
    beta, gamma = channel_scales(block)
    assert (beta is block.beta, gamma is block.gamma) == (True, True)
    assert beta.shape == gamma.shape == torch.Size([1, 4, 1, 1])


def test_a_network_that_declares_nothing_is_handed_on_before_anything_is_trained():
    network, said = nn.Conv2d(3, 3, 3, padding=1), []
    finetune = SimpleNamespace(epochs=1)
    settings = SimpleNamespace(target=0.5, rounds=1, finetune=finetune, blocks=1)
    pruned = prune(SimpleNamespace(prune=settings), network, lambda _: 1.0, said.append)
    assert pruned.network is network
    assert pruned.shares == []
    assert said == [
        "Conv2d says of nothing that it may be pruned, and goes on as it is (see unblur.networks.description)"
    ]
