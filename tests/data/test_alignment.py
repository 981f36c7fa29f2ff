"""The size of a planted shift is told; blur that is centred, however long, is none."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.data.alignment import measure_shift


def shifted(image, x, y):
    return cv2.warpAffine(image, np.float32([[1, 0, x], [0, 1, y]]), image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.mark.property
@settings(max_examples=25, deadline=None)
@given(x=st.integers(-9, 9), y=st.integers(-9, 9), sigma=st.sampled_from([0.8, 2.0]))
def test_a_shift_is_measured_in_pixels_and_direction(make_photo, x, y, sigma):
    sharp = make_photo(128, 160, seed=4)
    blur = cv2.GaussianBlur(sharp, (0, 0), sigma)
    found = measure_shift(blur, shifted(sharp, x, y))
    assert (found.x, found.y) == pytest.approx((x, y), abs=0.35)
    if found.size > 1:
        assert found.gain > 0.3


@pytest.mark.property
@pytest.mark.parametrize("seed", range(12))
def test_a_shake_centred_on_its_mass_is_no_shift(make_photo, seed):
    sharp = make_photo(160, 200, seed)
    shake = CameraShake(4, 16)
    rng = np.random.default_rng(seed)
    recipe = BlurRecipe({"shake": shake}, {"shake": 1})
    blur, truth = recipe.apply(sharp, recipe.draw(rng, 1.0))
    found = measure_shift(blur, truth)
    assert found.size < 1 or found.gain < 0.2


def test_equal_pictures_and_tiny_ones_have_no_shift(make_photo):
    photo = make_photo()
    assert measure_shift(photo, photo).size < 0.01
    assert measure_shift(photo[:3, :3], photo[:3, :3]).gain <= 0
