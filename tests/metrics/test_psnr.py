import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from unblur.metrics.psnr import psnr, round_to_uint8


def test_each_image_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    truth = rng.random((3, 3, 20, 31)).astype(np.float32)
    restored = np.clip(truth + rng.normal(0, [[[[0.01]]], [[[0.05]]], [[[0.2]]]], truth.shape), 0, 1).astype(np.float32)
    expected = [peak_signal_noise_ratio(t, r, data_range=1) for t, r in zip(truth, restored, strict=True)]
    actual = psnr(torch.from_numpy(restored), torch.from_numpy(truth))
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-6)


def test_values_outside_the_range_are_clipped_and_identical_images_stay_finite():
    ones = torch.ones(1, 3, 4, 4)
    assert float(psnr(1.5 * ones, ones)) == 100
    assert float(psnr(ones, ones)) == 100


def test_rounding_goes_to_the_nearest_of_256_values():
    values = torch.tensor([-0.1, 0.0, 0.6 / 255, 100.4 / 255, 1.0, 1.3])
    assert (round_to_uint8(values) * 255).tolist() == pytest.approx([0, 0, 1, 100, 255, 255])
