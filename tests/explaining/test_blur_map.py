"""A straight motion of known length and direction is found again."""

import cv2
import numpy as np
import pytest

from unblur.explaining.activations import straight
from unblur.explaining.blur_map import from_correction, from_spectrum


@pytest.fixture
def sharp(make_photo):
    return make_photo(192, 192, seed=4).astype(np.float32) / 255


def moved(photo, length, angle):
    return cv2.filter2D(photo, -1, straight(length, angle), borderType=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0, 135.0])
def test_the_direction_is_found(sharp, angle):
    blurred = moved(sharp, 9.0, angle)
    for found in (from_spectrum(blurred), from_correction(blurred, sharp)):
        direction, agreement = found.main_direction
        assert abs((direction - angle + 90) % 180 - 90) < 20
        assert agreement > 0.4


def test_the_extent_grows_with_the_blur(sharp):
    extents = [from_spectrum(moved(sharp, length, 30.0)).typical for length in (1.0, 3.0, 6.0, 10.0)]
    assert extents == sorted(extents)
    assert extents[-1] > 2 * extents[0]


def test_a_correction_of_a_small_blur_tells_its_size(sharp):
    smooth = cv2.GaussianBlur(sharp, (0, 0), 2.0)  # so that the second order holds
    found = from_correction(cv2.GaussianBlur(smooth, (0, 0), 1.0), smooth)
    assert found.typical == pytest.approx(12**0.5, rel=0.25)  # standard deviation 1
