import pytest
import torch

from unblur.errors import UnblurError
from unblur.losses.multi_scale import MultiScaleLoss


def test_it_is_the_mean_over_halved_images():
    restored, truth = torch.rand(1, 3, 8, 12), torch.rand(1, 3, 8, 12)
    halves = [torch.nn.functional.avg_pool2d(image, 2) for image in (restored, truth)]
    expected = ((restored - truth).abs().mean() + (halves[0] - halves[1]).abs().mean()) / 2
    assert MultiScaleLoss(torch.nn.L1Loss(), 2)(restored, truth).item() == pytest.approx(expected.item())


def test_a_pixel_has_one_scale():
    one = torch.rand(1, 3, 1, 1)
    assert MultiScaleLoss(torch.nn.L1Loss(), 5)(one, one + 0.5).item() == pytest.approx(0.5)


def test_no_scale_is_refused():
    with pytest.raises(UnblurError, match="0 scales"):
        MultiScaleLoss(torch.nn.L1Loss(), 0)
