import copy

import pytest
import torch
from torch import nn

from unblur.compression.fake_quantization import fake_quantized


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 1), nn.ReLU(), nn.ConvTranspose2d(6, 3, 2)
    ).eval()


def test_weights_and_inputs_have_256_steps_inside_the_block_and_not_after(layers):
    images = [torch.rand(2, 3, 9, 9)]
    before = copy.deepcopy(layers.state_dict())
    with torch.no_grad():
        exact = layers(images[0])
        with fake_quantized(layers, images, ends=True) as names:
            assert names == ["0", "2", "4"]
            for layer in (layers[0], layers[2]):
                for channel in layer.weight:
                    steps = channel / (channel.abs().max() / 127)
                    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
            rough = layers(images[0])
    assert 1e-5 < float((rough - exact).abs().max()) < 0.05
    assert layers.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in layers.state_dict().items())
    with torch.no_grad():
        assert torch.equal(layers(images[0]), exact)


def test_the_ends_stay_in_float_and_gradients_pass_through(layers):
    image = torch.rand(1, 3, 9, 9)
    with fake_quantized(layers, [image]) as names:
        assert names == ["2"]
        layers(image).square().sum().backward()
        for index in (0, 4):
            assert layers[index].weight.grad.abs().max() > 0
        assert layers[2].parametrizations.weight.original.grad.abs().max() > 0
    assert layers[2].weight.requires_grad


def test_what_was_learned_inside_the_block_stays(layers):
    image = torch.rand(1, 3, 9, 9)
    with fake_quantized(layers, [image]), torch.no_grad():
        layers[2].parametrizations.weight.original.fill_(0.5)
    assert float(layers[2].weight[0, 0, 0, 0]) == 0.5


def test_layers_behind_a_global_pool_are_left_alone(nafnet):
    with fake_quantized(nafnet, [torch.rand(1, 3, 16, 16)], ends=True) as names:
        assert not [name for name in names if ".sca." in name]
        assert {"intro", "encoders.0.0.conv1", "ending"} <= set(names)
