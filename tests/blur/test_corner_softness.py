import json

import cv2
import numpy as np
import pytest
from skimage.registration import phase_cross_correlation

from unblur.blur.corner_softness import CornerSoftness, relative_variance
from unblur.blur.light import to_linear
from unblur.errors import UnblurError

LENS = CornerSoftness(2, 12)
LEVELS = (0.0, 0.3, 0.7, 1.0)


def draws():
    return [LENS.draw(np.random.default_rng(seed), level) for seed in range(4) for level in LEVELS]


def parameters(extent, power=2.0, axis_x=0.0, axis_y=0.0):
    return {"extent": extent, "power": power, "axis_x": axis_x, "axis_y": axis_y}


def deviation_at(y, x, numbers, size=(181, 241)):
    """The standard deviation of the spread of a point at (y, x), with its sum and centre of mass."""
    point = np.zeros((*size, 3), np.float32)
    point[y, x] = 1
    light = LENS.apply(point, numbers)[..., 0].astype(np.float64)
    rows, columns = np.arange(size[0]) - y, np.arange(size[1]) - x
    total = light.sum()
    centre = light.sum(axis=1) @ rows / total, light.sum(axis=0) @ columns / total
    variance = light.sum(axis=0) @ columns**2 / total - centre[1] ** 2
    return np.sqrt(variance), total, centre


def test_softness_grows_to_the_corners_as_it_says():
    numbers = parameters(12.0)
    diagonal = [deviation_at(90 - step * 3, 120 - step * 4, numbers)[0] for step in (0, 6, 12, 18, 24)]
    assert diagonal == sorted(diagonal)
    assert diagonal[0] < 0.05
    # 24 of the 30 steps to the corner, where the deviation is a quarter of the extent: 3 px * (24 / 30)^2.
    assert diagonal[4] == pytest.approx(3 * (24 / 30) ** 2, rel=0.05)


def test_between_two_convolutions_the_variance_is_the_one_of_the_place():
    numbers = parameters(12.0, power=2.0)
    for step in (14, 17, 20, 22):
        y, x = 90 - step * 3, 120 - step * 4
        expected = 9 * relative_variance((181, 241), numbers)[y, x]
        assert deviation_at(y, x, numbers)[0] ** 2 == pytest.approx(expected, rel=0.1)


@pytest.mark.property
def test_a_point_keeps_its_light_and_its_place_up_to_second_order():
    for numbers in draws():
        for y, x in ((90, 120), (60, 60), (30, 200), (150, 40)):
            _, total, centre = deviation_at(y, x, numbers)
            assert total == pytest.approx(1, abs=0.02)
            np.testing.assert_allclose(centre, (0, 0), atol=0.35)


@pytest.mark.property
def test_nothing_moves(make_photo):
    """Phase correlation of the coarse image, as for the other kinds."""
    window = np.outer(np.hanning(160), np.hanning(160))[..., None].astype(np.float32)
    sharp = to_linear(make_photo(160, 160, seed=3)) * window

    def coarse(image):
        return cv2.GaussianBlur(image.mean(axis=2), (0, 0), 12)

    for numbers in draws():
        blurred = coarse(LENS.apply(sharp, numbers))
        shift = phase_cross_correlation(coarse(sharp), blurred, upsample_factor=50, normalization=None)[0]
        assert np.abs(shift).max() < 0.1


@pytest.mark.property
def test_a_photographs_light_is_kept(make_photo):
    dark = np.zeros((260, 280, 3), np.float32)
    dark[50:-50, 50:-50] = to_linear(make_photo(160, 180))
    for numbers in draws():
        blurred = LENS.apply(dark, numbers)
        np.testing.assert_allclose(blurred.sum(axis=(0, 1)), dark.sum(axis=(0, 1)), rtol=2e-3)


@pytest.mark.property
def test_a_constant_image_stays_constant():
    constant = np.tile(np.array([0.2, 0.5, 0.9], np.float32), (40, 50, 1))
    for numbers in draws():
        np.testing.assert_allclose(LENS.apply(constant, numbers), constant, atol=2e-6)


@pytest.mark.property
def test_light_adds_up(make_photo):
    one, two = (to_linear(make_photo(48, 64, seed)) for seed in (1, 2))
    for numbers in draws():
        together = LENS.apply(one, numbers) + LENS.apply(two, numbers)
        np.testing.assert_allclose(LENS.apply(one + two, numbers), together, atol=5e-6)


@pytest.mark.property
def test_the_same_seed_gives_the_same_bytes_also_after_a_trip_through_json(make_photo):
    linear = to_linear(make_photo(40, 48))
    for first, again in zip(draws(), draws(), strict=True):
        assert first == again
        assert all(type(value) is float for value in first.values())
        stored = json.loads(json.dumps(first))
        assert LENS.apply(linear, stored).tobytes() == LENS.apply(linear, first).tobytes()


def test_beyond_the_margin_nothing_reaches():
    for numbers in draws():
        margin = LENS.margin(numbers)
        point = np.zeros((101, 101, 3), np.float32)
        point[10, 10] = 1
        spread = LENS.apply(point, numbers)
        spread[: 11 + margin, : 11 + margin] = 0
        assert np.abs(spread).max() == 0


def test_an_extent_of_zero_is_the_identity_and_the_strength_grows_with_the_level(make_photo):
    linear = to_linear(make_photo(30, 40))
    lens = CornerSoftness(0, 9)
    drawn = [lens.draw(np.random.default_rng(0), level) for level in LEVELS]
    np.testing.assert_array_equal(lens.apply(linear, drawn[0]), linear)
    assert [lens.strength(numbers) for numbers in drawn] == pytest.approx([0, 2.7, 6.3, 9])
    lost = [np.abs(lens.apply(linear, numbers) - linear).mean() for numbers in drawn]
    assert lost == sorted(lost)


def test_one_pixel_stays_what_it_is():
    pixel = np.full((1, 1, 3), 0.4, np.float32)
    np.testing.assert_allclose(LENS.apply(pixel, parameters(12.0)), pixel, atol=1e-6)
    np.testing.assert_allclose(LENS.apply(pixel, parameters(12.0, axis_x=0.05)), pixel, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"min_extent": 4, "max_extent": 1}, "extent in pixels: got the range 4 to 1"),
        ({"power": (3, 2)}, r"power: got \[3, 2\]"),
        ({"power": (0, 2)}, "power"),
        ({"decentring": 1.0}, "decentring: got 1.0"),
    ],
)
def test_what_makes_no_sense_is_refused(options, complaint):
    with pytest.raises(UnblurError, match=complaint):
        CornerSoftness(**{"min_extent": 1, "max_extent": 2, **options})
