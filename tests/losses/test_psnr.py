import pytest
import torch

from unblur.losses.psnr import PSNRLoss


def test_value_is_minus_the_mean_of_the_images_psnrs():
    truth = torch.zeros(2, 3, 4, 4)
    restored = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])  # 20 dB and 40 dB
    assert float(PSNRLoss()(restored, truth)) == pytest.approx(-30, abs=1e-3)


def test_identical_images_give_minus_80_db_and_a_finite_gradient():
    image = torch.rand(1, 3, 4, 4, requires_grad=True)
    loss = PSNRLoss()(image, image.detach().clone())
    loss.backward()
    assert loss.item() == pytest.approx(-80, abs=1e-3)
    assert image.grad.isfinite().all()
