"""The window of attention that is shown is the one that the region lies in, as the network sees it."""

import numpy as np
import pytest
import torch

from unblur.explaining.activations import last_outputs
from unblur.explaining.attention import attention_maps
from unblur.explaining.region import Region
from unblur.explaining.subject import restorer_of, subject_of
from unblur.networks.uformer import Uformer


@pytest.fixture
def uformer():
    torch.manual_seed(0)
    return Uformer(
        width=8, encoder_blocks=[2], middle_blocks=2, decoder_blocks=[2], head_channels=8, window=4
    ).requires_grad_(False)


def attention_at(network, window, region):
    subject = subject_of(restorer_of(network, 1, 0), network, window, region)
    return {each.layer: each for each in attention_maps(subject)}


def of_the_network(network, name, window, place):
    """Return the weights (N,) that the network itself gives, mean over heads, at a pixel of the level of its input."""
    module = dict(network.named_modules())[name]
    with last_outputs({name: module.qkv}) as held:
        network(window)
    (qkv,) = held.values()
    side, across = module.window, round(qkv.shape[1] ** 0.5)
    row, column = ((each - module.shift) % (across * side) for each in place)
    number, pixel = row // side * across + column // side, row % side * side + column % side
    q, k, _ = qkv[0].reshape(across**2, side**2, 3, module.heads, -1).permute(2, 0, 3, 1, 4)
    scores = (q * module.scale) @ k.transpose(-2, -1) + module.bias[:, module.place]
    if module.shift:
        strangers = module.strangers(across * side, across * side, qkv.device)
        scores = scores.masked_fill(strangers[:, None], -100.0)
    return scores.softmax(dim=-1)[number, :, pixel].mean(dim=0)


@pytest.mark.parametrize("side", [32, 28])  # 28 pixels are padded to 32
@pytest.mark.parametrize("corner", [(4, 4), (12, 16), (19, 19)])
def test_a_pixel_looks_where_the_network_lets_it(uformer, side, corner):
    window = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    left, top = corner
    found = attention_at(uformer, window, Region(left, top, 8))
    shown = {name: each for name, each in found.items() if "encoders" in name}
    assert shown
    for name, each in shown.items():
        expected = of_the_network(uformer, name, window, (top + 4, left + 4))
        np.testing.assert_allclose(each.values.ravel(), expected.numpy(), atol=1e-6)


def test_pixels_that_meet_only_by_wrapping_do_not_look_at_each_other(uformer):
    window = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = attention_at(uformer, window, Region(30, 30, 2))
    modules = dict(uformer.named_modules())
    shifted = [each for name, each in found.items() if modules[name].shift]
    assert shifted
    for each in shifted:
        assert (each.values > 1e-6).sum() == 4  # of 4 x 4 pixels a quarter lies on this side of the border
