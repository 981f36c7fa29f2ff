import pytest
import torch

from unblur.losses.edge import EdgeLoss


def test_a_constant_and_a_smooth_image_have_no_edges():
    loss = EdgeLoss()
    flat = torch.full((1, 3, 32, 32), 0.4)
    assert loss.laplacian(flat).abs().max() < 1e-6
    smooth = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    assert loss.laplacian(smooth)[..., 8:-8, 8:-8].abs().max() < 1e-5


def test_the_finest_level_of_a_point_is_burt_and_adelsons():
    point = torch.zeros(1, 1, 17, 17)
    point[..., 8, 8] = 1
    # Blurred, halved and brought back, the middle keeps 4 * (0.4^2 + 2 * 0.05^2)^2 of its light.
    assert EdgeLoss().laplacian(point)[0, 0, 8, 8].item() == pytest.approx(
        1 - 4 * (0.4**2 + 2 * 0.05**2) ** 2, abs=1e-6
    )


def test_equal_images_cost_epsilon_and_blurred_ones_more():
    sharp = torch.rand(2, 3, 24, 20)
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    loss = EdgeLoss(1e-3)
    assert loss(sharp, sharp).item() == pytest.approx(1e-3, rel=1e-3)
    assert loss(blurred, sharp) > 0.1
    assert loss(sharp + 0.1, sharp).item() == pytest.approx(1e-3, rel=0.01)
