import numpy as np
import pytest
import torch

from unblur.losses.frequency import FrequencyLoss


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9)])
def test_value_is_numpys_orthonormal_fft(height, width):
    rng = np.random.default_rng(0)
    restored, truth = rng.random((2, 2, 3, height, width), dtype=np.float32)
    spectrum = np.fft.rfft2(restored, norm="ortho") - np.fft.rfft2(truth, norm="ortho")
    expected = np.mean([np.abs(spectrum.real), np.abs(spectrum.imag)])
    actual = FrequencyLoss()(torch.from_numpy(restored), torch.from_numpy(truth))
    assert float(actual) == pytest.approx(float(expected), rel=1e-5)


def test_the_value_does_not_grow_with_the_crop():
    generator = torch.Generator().manual_seed(0)
    small = torch.randn(1, 3, 32, 32, generator=generator)
    large = torch.randn(1, 3, 128, 128, generator=generator)
    loss = FrequencyLoss()
    assert float(loss(small, torch.zeros_like(small))) == pytest.approx(0.564, rel=0.05)
    assert float(loss(large, torch.zeros_like(large))) == pytest.approx(0.564, rel=0.02)


def test_gradient_reaches_a_bfloat16_image():
    image = torch.rand(1, 3, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    FrequencyLoss()(image, torch.zeros(1, 3, 8, 8)).backward()
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0
