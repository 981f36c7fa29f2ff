import pytest
import torch
import torch.nn.functional as F

from unblur.networks.local_mean import LocalMean


@pytest.mark.parametrize(
    ("window", "size"), [(3, (7, 9)), (4, (8, 6)), (6, (5, 20)), (9, (9, 9)), (20, (7, 5)), (1, (3, 3))]
)
def test_it_is_the_mean_of_a_window_that_stays_inside(window, size):
    x = torch.rand(2, 3, *size)
    rows, columns = (min(window, side) for side in size)
    box = F.avg_pool2d(x, (rows, columns), stride=1)
    top, left = (rows - 1) // 2, (columns - 1) // 2
    expected = F.pad(box, (left, columns - 1 - left, top, rows - 1 - top), mode="replicate")
    torch.testing.assert_close(LocalMean(window)(x), expected, rtol=1e-5, atol=1e-6)


def test_where_the_window_holds_the_image_it_is_the_global_mean():
    x = torch.rand(1, 2, 6, 4)
    torch.testing.assert_close(LocalMean(6)(x), x.mean(dim=(2, 3), keepdim=True).expand_as(x))


def test_half_precision_sums_in_full():
    x = torch.rand(1, 1, 4, 3000)
    half = LocalMean(256)(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), LocalMean(256)(x), rtol=0.01, atol=0)
