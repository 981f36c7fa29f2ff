"""Blending in linear light; `auto` leaves sharp pictures and bokeh alone, and restores shake and missed focus."""

import cv2
import numpy as np
import pytest
import skimage.data

from unblur.blur.light import to_linear
from unblur.restoring.strength import blend, useful

SHARP = skimage.data.astronaut()
HALF = SHARP.shape[1] // 2


def shaken(image):
    kernel = np.full((1, 13), 1 / 13, np.float32)
    return cv2.filter2D(image, -1, kernel)


def defocused(image, radius=5):
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (x**2 + y**2 <= radius**2).astype(np.float32)
    return cv2.filter2D(image, -1, disc / disc.sum())


def right_half(blur):
    image = SHARP.copy()
    image[:, HALF:] = blur(SHARP)[:, HALF:]
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_ends_are_exact_and_the_middle_is_the_mean_of_light(dtype):
    largest = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    before, after = (rng.integers(0, largest, (600, 8, 3), endpoint=True, dtype=dtype) for _ in range(2))
    assert blend(before, after, 1.0) is after
    np.testing.assert_array_equal(blend(before, after, 0.0), before)
    light = [to_linear((each / largest).astype(np.float32)) for each in (before, after)]
    found = to_linear((blend(before, after, 0.25) / largest).astype(np.float32))
    np.testing.assert_allclose(found, 0.75 * light[0] + 0.25 * light[1], atol=0.005)


def test_black_and_white_mix_to_the_srgb_value_of_half_the_light():
    black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    assert blend(black, white, 0.5).tolist() == [[[188, 188, 188]]]  # IEC 61966-2-1


def test_a_map_says_it_for_each_pixel():
    before, after = np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 200, np.uint8)
    share = np.zeros((4, 6), np.float32)
    share[:, 3:] = 1
    blended = blend(before, after, share)
    np.testing.assert_array_equal(blended[:, :3], 0)
    np.testing.assert_array_equal(blended[:, 3:], 200)


def test_a_sharp_picture_has_nothing_to_gain():
    for after in (SHARP, np.clip(SHARP * 1.01, 0, 255).astype(np.uint8), cv2.GaussianBlur(SHARP, (0, 0), 0.5)):
        assert not useful(SHARP, after).any()


def test_an_answer_that_changes_nothing_is_not_taken():
    assert not useful(shaken(SHARP), shaken(SHARP)).any()


@pytest.mark.parametrize("blur", [shaken, defocused])
def test_a_picture_that_is_blurred_all_over_is_restored(blur):
    assert useful(blur(SHARP), SHARP).mean() > 0.9


def test_where_most_of_a_picture_gains_all_of_it_is_restored():
    image = shaken(SHARP)
    image[:, : HALF // 4] = SHARP[:, : HALF // 4]
    assert (useful(image, SHARP) == 1).all()


def test_what_moves_before_a_sharp_background_is_restored():
    share = useful(right_half(shaken), SHARP)
    assert share[:, : HALF - 32].mean() < 0.02
    assert share[:, HALF + 32 :].mean() > 0.6


def test_bokeh_behind_a_sharp_subject_stays():
    share = useful(right_half(defocused), SHARP)
    assert share[:, : HALF - 32].mean() < 0.02
    assert share[:, HALF + 32 :].mean() < 0.4


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (40, 30)])
def test_any_size_goes(size):
    photo = cv2.resize(SHARP, size[::-1])
    assert useful(cv2.GaussianBlur(photo, (0, 0), 3.0), photo).shape == size
