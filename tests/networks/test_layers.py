import pytest
import torch

from unblur.networks.layers import LayerNorm2d, SimpleGate, crop, pad_to_multiple


def test_layer_norm_is_the_written_out_formula():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 5, 7, generator=generator)
    norm = LayerNorm2d(6)
    torch.nn.init.normal_(norm.weight, generator=generator)
    torch.nn.init.normal_(norm.bias, generator=generator)
    mean = x.mean(dim=1, keepdim=True)
    variance = (x - mean).square().mean(dim=1, keepdim=True)
    expected = (x - mean) / (variance + 1e-6).sqrt() * norm.weight.view(1, 6, 1, 1) + norm.bias.view(1, 6, 1, 1)
    torch.testing.assert_close(norm(x), expected, rtol=1e-5, atol=1e-5)


def test_simple_gate_multiplies_the_halves():
    x = torch.arange(8.0).view(1, 4, 1, 2)  # channels: (0, 1), (2, 3), (4, 5), (6, 7)
    assert SimpleGate()(x).flatten().tolist() == [0.0, 5.0, 12.0, 21.0]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 8), (8, 9), (16, 31)])
def test_padding_appends_zeros_and_crop_takes_them_away(height, width):
    x = torch.rand(2, 3, height, width) + 0.1
    padded = pad_to_multiple(x, 8)
    assert padded.shape[2] == -(-height // 8) * 8
    assert padded.shape[3] == -(-width // 8) * 8
    assert torch.equal(crop(padded, height, width), x)
    assert padded.sum() == pytest.approx(float(x.sum()), rel=1e-5)
