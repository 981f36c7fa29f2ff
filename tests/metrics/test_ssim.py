"""Golden values: scikit-image for the per-channel form, an explicit 3-D convolution by SciPy for the other."""

import time

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from skimage.metrics import structural_similarity

from unblur.errors import UnblurError
from unblur.metrics.ssim import ssim_matlab3d, ssim_per_channel


def pair(height, width, seed=0, noise=0.1):
    """A truth of blobs and a noisy version of it, (1, 3, height, width) float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 8
    truth = np.stack([np.sin(x + k) * np.cos(y - k) for k in range(3)])[None] / 2 + 0.5
    restored = np.clip(truth + rng.normal(0, noise, truth.shape), 0, 1)
    return restored.astype(np.float32), truth.astype(np.float32)


def matlab3d_by_convolution(restored, truth):
    """The definition, word for word, in float64: one 11x11x11 kernel over (H, W, C), nearest border."""
    x, y = (image[0].transpose(1, 2, 0).astype(np.float64) for image in (restored, truth))
    g = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    kernel = g[:, None, None] * g[None, :, None] * g[None, None, :]
    kernel /= kernel.sum()
    blur = lambda image: convolve(image, kernel, mode="nearest")  # noqa: E731
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


@pytest.mark.parametrize(("height", "width"), [(24, 37), (11, 13), (5, 4), (1, 1)])
def test_matlab3d_is_the_explicit_convolution(height, width):
    restored, truth = pair(height, width)
    actual = ssim_matlab3d(torch.from_numpy(restored), torch.from_numpy(truth))
    assert float(actual) == pytest.approx(matlab3d_by_convolution(restored, truth), abs=2e-6)


@pytest.mark.parametrize(("height", "width"), [(24, 37), (11, 11)])
def test_per_channel_is_scikit_image_where_the_window_fits(height, width):
    restored, truth = pair(height, width)
    _, full = structural_similarity(
        restored[0].astype(np.float64),
        truth[0].astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=0,
        full=True,
    )
    expected = full[:, 5 : height - 5, 5 : width - 5].mean()
    actual = ssim_per_channel(torch.from_numpy(restored), torch.from_numpy(truth))
    assert float(actual) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("ssim", [ssim_matlab3d, ssim_per_channel])
def test_images_of_a_batch_are_scored_one_by_one(ssim):
    first, second = pair(20, 26, seed=1, noise=0.02), pair(20, 26, seed=2, noise=0.3)
    batch = [torch.from_numpy(np.concatenate(images)) for images in zip(first, second, strict=True)]
    together = ssim(*batch)
    alone = torch.cat([ssim(*map(torch.from_numpy, images)) for images in (first, second)])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)
    assert together[0] > together[1]


@pytest.mark.parametrize("ssim", [ssim_matlab3d, ssim_per_channel])
def test_identical_images_give_one(ssim):
    _, truth = pair(20, 26)
    assert float(ssim(torch.from_numpy(truth), torch.from_numpy(truth))) == pytest.approx(1, abs=1e-6)


def test_an_image_smaller_than_the_window_is_refused_with_the_way_out():
    with pytest.raises(UnblurError, match="at least 11x11 pixels, this one is 40x10"):
        ssim_per_channel(torch.rand(1, 3, 10, 40), torch.rand(1, 3, 10, 40))


@pytest.mark.parametrize("ssim", [ssim_matlab3d, ssim_per_channel])
def test_a_vga_image_does_not_take_a_3d_convolution(ssim):
    images = [torch.from_numpy(image) for image in pair(480, 640)]
    ssim(*images)
    start = time.process_time()
    ssim(*images)
    assert time.process_time() - start < 1.5  # about 0.1 s of one core; an 11x11x11 convolution takes over 10 s
