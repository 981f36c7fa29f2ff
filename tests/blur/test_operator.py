"""What holds for every kind of blur, whatever it is."""

import json

import cv2
import numpy as np
import pytest
from skimage.registration import phase_cross_correlation

from unblur.blur.light import to_linear
from unblur.blur.operator import Operator, check_range
from unblur.errors import UnblurError

pytestmark = pytest.mark.property

LEVELS = (0.0, 0.3, 0.7, 1.0)
SIDE = 81
MIDDLE = SIDE // 2


def draws(operator: Operator) -> list[dict[str, float]]:
    return [operator.draw(np.random.default_rng((seed, 7)), level) for seed in range(6) for level in LEVELS]


def image_of_a_point(operator: Operator, parameters: dict[str, float]) -> np.ndarray:
    point = np.zeros((SIDE, SIDE, 3), np.float32)
    point[MIDDLE, MIDDLE] = 1
    return operator.apply(point, parameters)


def test_a_point_spreads_to_a_psf_with_energy_one_centred_and_within_the_margin(operator):
    offset = np.arange(SIDE) - MIDDLE
    for parameters in draws(operator):
        spread = image_of_a_point(operator, parameters)
        for channel in np.moveaxis(spread, 2, 0):
            assert channel.min() >= -1e-6
            assert channel.sum() == pytest.approx(1, abs=1e-4)
            assert channel.sum(axis=1) @ offset == pytest.approx(0, abs=0.03)
            assert channel.sum(axis=0) @ offset == pytest.approx(0, abs=0.03)
        margin = operator.margin(parameters)
        spread[MIDDLE - margin : MIDDLE + margin + 1, MIDDLE - margin : MIDDLE + margin + 1] = 0
        assert np.abs(spread).max() < 1e-6


def test_strength_is_the_extent_of_the_spread_and_grows_with_the_level(operator):
    for parameters in draws(operator):
        y, x = np.nonzero(image_of_a_point(operator, parameters)[..., 0] > 1e-3)
        points = np.stack([y, x], axis=1).astype(float)
        across = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2)).max()
        # Bilinear or covered pixels add up to a pixel's diagonal at each end; a faint end may be lost.
        assert operator.strength(parameters) - 1.5 <= across <= operator.strength(parameters) + 2 * np.sqrt(2)
    strengths = [operator.strength(operator.draw(np.random.default_rng(0), level)) for level in LEVELS]
    assert strengths == sorted(strengths)
    assert strengths[-1] > strengths[0]


def test_a_constant_image_stays_constant(any_operator):
    colour = np.array([0.2, 0.5, 0.9], np.float32)
    constant = np.tile(colour, (40, 50, 1))
    for parameters in draws(any_operator):
        np.testing.assert_allclose(any_operator.apply(constant, parameters), constant, atol=2e-6)


def test_light_is_neither_lost_nor_made(operator, make_photo):
    dark = np.zeros((160, 180, 3), np.float32)
    dark[50:-50, 50:-50] = to_linear(make_photo(60, 80))
    for parameters in draws(operator):
        blurred = operator.apply(dark, parameters)
        np.testing.assert_allclose(blurred.sum(axis=(0, 1)), dark.sum(axis=(0, 1)), rtol=1e-4)


def test_light_adds_up(any_operator, make_photo):
    one, two = (to_linear(make_photo(48, 64, seed)) for seed in (1, 2))
    for parameters in draws(any_operator)[:8]:
        together = any_operator.apply(one + two, parameters)
        np.testing.assert_allclose(
            together, any_operator.apply(one, parameters) + any_operator.apply(two, parameters), atol=5e-6
        )


def test_nothing_moves(any_operator, make_photo):
    """Phase correlation of the coarse image: a lopsided PSF moves its peak, but must not move its mass."""
    window = np.outer(np.hanning(160), np.hanning(160))[..., None].astype(np.float32)
    sharp = to_linear(make_photo(160, 160, seed=3)) * window

    def coarse(image):
        return cv2.GaussianBlur(image.mean(axis=2), (0, 0), 12)

    def shift(image):
        return phase_cross_correlation(coarse(sharp), coarse(image), upsample_factor=50, normalization=None)[0]

    np.testing.assert_allclose(shift(np.roll(sharp, 1, axis=0)), [-1, 0], atol=0.05)  # it sees what it looks for
    for parameters in draws(any_operator):
        assert np.abs(shift(any_operator.apply(sharp, parameters))).max() < 0.1


def test_the_same_seed_gives_the_same_bytes_also_after_a_trip_through_json(any_operator, make_photo):
    linear = to_linear(make_photo(40, 48))
    for first, again in zip(draws(any_operator), draws(any_operator), strict=True):
        assert first == again
        assert all(type(value) in (int, float) for value in first.values())
        stored = json.loads(json.dumps(first))
        assert any_operator.apply(linear, stored).tobytes() == any_operator.apply(linear, first).tobytes()
    different = {any_operator.apply(linear, parameters).tobytes() for parameters in draws(any_operator)}
    assert len(different) > len(LEVELS)


def test_a_crop_with_its_margin_is_blurred_as_the_whole_photograph(operator, make_photo):
    photo = to_linear(make_photo(120, 140))
    for parameters in draws(operator):
        m = operator.margin(parameters)
        whole = operator.apply(photo, parameters)
        crop = operator.apply(photo[40 - m : 72 + m, 50 - m : 82 + m].copy(), parameters)
        np.testing.assert_allclose(crop[m : m + 32, m : m + 32], whole[40:72, 50:82], atol=5e-6)


def test_no_extent_is_the_identity(any_operator, make_photo):
    photo = to_linear(make_photo(40, 48))
    for seed in range(6):
        drawn = any_operator.draw(np.random.default_rng(seed), 0.5)
        for name in {"extent", "radius"} & set(drawn) if not hasattr(any_operator, "size") else {"extent"}:
            drawn[name] = 0.0
        np.testing.assert_allclose(any_operator.apply(photo, drawn), photo, atol=1e-6)


def test_a_blur_that_varies_over_the_picture_keeps_its_light_to_a_percent(any_operator, make_photo):
    dark = np.zeros((160, 180, 3), np.float32)
    dark[50:-50, 50:-50] = to_linear(make_photo(60, 80))
    for parameters in draws(any_operator)[:12]:
        blurred = any_operator.apply(dark, parameters)
        np.testing.assert_allclose(blurred.sum(axis=(0, 1)), dark.sum(axis=(0, 1)), rtol=0.03)


@pytest.mark.parametrize(("low", "high"), [(3, 2), (-1, 2), (float("nan"), 2)])
def test_a_range_the_wrong_way_round_is_refused(low, high):
    with pytest.raises(UnblurError, match=r"extent: got the range .* 0 <= min <= max"):
        check_range("extent", low, high)
