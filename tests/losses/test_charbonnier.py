import pytest
import torch

from unblur.losses.charbonnier import CharbonnierLoss


def test_value_follows_the_formula():
    restored = torch.tensor([0.5, 0.2, 0.0, 1.0]).view(1, 1, 2, 2)
    truth = torch.tensor([0.5, 0.3, 0.4, 0.0]).view(1, 1, 2, 2)
    expected = sum((d * d + 1e-6) ** 0.5 for d in (0.0, 0.1, 0.4, 1.0)) / 4
    assert float(CharbonnierLoss(epsilon=1e-3)(restored, truth)) == pytest.approx(expected, rel=1e-6)


def test_gradient_is_finite_for_identical_images_and_bfloat16_is_computed_in_float32():
    image = torch.rand(1, 3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    loss = CharbonnierLoss()(image, image.detach().clone())
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(1e-3, rel=1e-5)
    assert image.grad.abs().max() == 0


def test_jointly_the_channels_of_a_pixel_are_one_distance():
    restored = torch.tensor([[0.5, 0.0], [0.2, 0.0], [0.0, 0.3]]).view(1, 3, 1, 2)
    truth = torch.tensor([[0.5, 0.4], [0.3, 0.0], [0.4, 0.0]]).view(1, 3, 1, 2)
    pixels = [(0.0, 0.1, 0.4), (0.4, 0.0, 0.3)]
    expected = sum((sum(d * d for d in pixel) / 3 + 1e-6) ** 0.5 for pixel in pixels) / 2
    assert float(CharbonnierLoss(1e-3, joint=True)(restored, truth)) == pytest.approx(expected, rel=1e-6)
