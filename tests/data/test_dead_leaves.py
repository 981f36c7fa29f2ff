import cv2
import numpy as np
import pytest

from unblur.data.dead_leaves import dead_leaves

PALETTE = np.array([[230, 40, 30], [20, 90, 200], [240, 240, 235], [15, 20, 10]], np.uint8)


def draw(seed=0, side=96):
    return dead_leaves(np.random.default_rng(seed), side, PALETTE)


@pytest.mark.parametrize("side", [16, 84, 131])
def test_a_picture_has_its_size_and_uses_the_palette(side):
    picture = draw(side=side)
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    distance = np.abs(picture.astype(int)[:, :, None] - PALETTE.astype(int)).max(axis=-1).min(axis=-1)
    assert np.median(distance) < 40  # the rest are edges, shading and texture


def test_the_seed_decides_everything():
    assert np.array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))


def test_edges_are_as_sharp_as_pixels_can_be():
    """Blurring a picture by half a pixel takes away much of its finest detail."""
    for seed in range(5):
        grey = cv2.cvtColor(draw(seed, 256), cv2.COLOR_RGB2GRAY).astype(np.float32)
        soft = cv2.GaussianBlur(grey, (0, 0), 0.5)
        assert cv2.Laplacian(soft, cv2.CV_32F).std() < 0.75 * cv2.Laplacian(grey, cv2.CV_32F).std()


def test_the_spectrum_falls_as_that_of_photographs():
    """Amplitude against frequency falls with an exponent of about 1, between 0.8 and 1.5 in natural images."""
    slopes = []
    for seed in range(6):
        grey = cv2.cvtColor(draw(seed, 256), cv2.COLOR_RGB2GRAY).astype(float)
        window = np.hanning(256)[:, None] * np.hanning(256)
        amplitude = np.abs(np.fft.fftshift(np.fft.fft2((grey - grey.mean()) * window)))
        radius = np.hypot(*np.mgrid[-128:128, -128:128]).astype(int)
        rings = np.arange(6, 80)
        mean = [amplitude[radius == ring].mean() for ring in rings]
        slopes.append(np.polyfit(np.log(rings), np.log(mean), 1)[0])
    assert -1.6 < np.mean(slopes) < -0.7
