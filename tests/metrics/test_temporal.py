import pytest
import torch

from unblur.metrics.temporal import temporal_error


def test_an_error_that_stands_still_costs_nothing():
    truth = torch.rand(2, 4, 3, 5, 6)
    assert temporal_error(truth + 0.1 * torch.rand(2, 1, 3, 5, 6), truth) == pytest.approx([0, 0], abs=1e-4)


def test_flicker_is_counted_in_8_bit_steps():
    truth = torch.rand(1, 4, 3, 5, 6)
    flicker = torch.tensor([0.0, 2.0, 0.0, 2.0]).reshape(1, 4, 1, 1, 1) / 255
    assert temporal_error(truth + flicker, truth).item() == pytest.approx(2, abs=1e-4)
