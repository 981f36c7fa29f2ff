import numpy as np
import pytest

from unblur.blur.convolve import convolve


def by_definition(image, psf):
    """The sum over the PSF of shifted copies of the mirrored image."""
    k = len(psf) // 2
    mirrored = np.pad(image.astype(np.float64), ((k, k), (k, k), (0, 0)), mode="symmetric")
    height, width = image.shape[:2]
    return sum(
        psf[y, x] * mirrored[2 * k - y : 2 * k - y + height, 2 * k - x : 2 * k - x + width]
        for y in range(len(psf))
        for x in range(len(psf))
    )


@pytest.mark.parametrize("side", [1, 3, 9, 11, 13, 31])  # OpenCV changes its method above 11
def test_it_is_the_convolution_with_a_mirrored_border(side):
    rng = np.random.default_rng(side)
    image = rng.random((37, 52, 3), dtype=np.float32)
    psf = rng.random((side, side), dtype=np.float32)  # lopsided: a correlation would differ
    psf /= psf.sum()
    blurred = convolve(image, psf)
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, by_definition(image, psf), atol=2e-6)


@pytest.mark.parametrize("side", [3, 21])
def test_a_single_bright_pixel_becomes_the_psf(side):
    psf = np.random.default_rng(0).random((side, side), dtype=np.float32)
    image = np.zeros((61, 61, 3), np.float32)
    image[30, 30] = 1
    k = side // 2
    np.testing.assert_allclose(convolve(image, psf)[30 - k : 31 + k, 30 - k : 31 + k, 2], psf, atol=2e-6)


def test_one_pixel_is_its_own_mirror():
    image = np.full((1, 1, 3), 0.4, np.float32)
    np.testing.assert_allclose(convolve(image, np.full((25, 25), 1 / 625, np.float32)), image, atol=1e-6)
