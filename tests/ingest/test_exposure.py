"""Clipped share, contrast and sharpness against values that are known."""

import cv2
import numpy as np
import pytest

from unblur.ingest.exposure import clipped_share, contrast, sharpness


def test_the_clipped_share_counts_black_and_white_but_no_pure_colour():
    image = np.full((10, 10, 3), 100, np.uint8)
    image[:2] = 255
    image[2] = 0
    image[3] = (255, 0, 0)
    assert clipped_share(image) == pytest.approx(0.3)


def test_contrast_is_the_standard_deviation_of_the_liveliest_channel():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4, :, 1] = 60
    assert contrast(image) == pytest.approx(30)


def test_sharpness_of_a_ramp_is_its_slope():
    ramp = np.repeat(np.repeat(np.arange(0, 200, 2, np.uint8)[None], 60, 0)[..., None], 3, 2)
    assert sharpness(ramp[:, 20:-20]) == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_blur_lowers_sharpness_and_noise_hardly_raises_it(make_photo, seed):
    photo = make_photo(seed=seed)
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 3, photo.shape), 0, 255).astype(np.uint8)
    assert sharpness(cv2.GaussianBlur(photo, (0, 0), 2)) < 0.9 * sharpness(photo)
    assert sharpness(noisy) < 1.05 * sharpness(photo)
