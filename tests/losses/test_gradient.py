import pytest
import torch

from unblur.losses.gradient import GradientLoss


def test_an_offset_costs_nothing_and_a_ramp_its_slope():
    truth = torch.rand(2, 3, 9, 7)
    assert GradientLoss()(truth + 0.2, truth).item() == pytest.approx(0, abs=1e-6)
    ramp = truth + 0.01 * torch.arange(7.0)
    assert GradientLoss()(ramp, truth).item() == pytest.approx(0.01 / 2, rel=1e-3)
