import numpy as np
import pytest

from unblur.blur.light import to_linear
from unblur.blur.object_motion import ObjectMotion, blob, mirrored_under
from unblur.errors import UnblurError

MOTION = ObjectMotion(2, 16)


def drawn(seed, **changed):
    return MOTION.draw(np.random.default_rng(seed), 0.8) | changed


def mask_of(numbers, size):
    return blob(np.random.default_rng(int(numbers["object_seed"])), size, numbers)


def far_from(mask, pixels):
    """Where no pixel within `pixels` belongs to the object."""
    import cv2

    return cv2.dilate((mask > 0).astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) == 0


def test_a_still_background_stays_as_it_is_away_from_the_object(make_photo):
    photo = to_linear(make_photo(120, 140))
    for seed in range(6):
        numbers = drawn(seed, background=0.0)
        blurred = MOTION.apply(photo, numbers)
        away = far_from(mask_of(numbers, (120, 140)), MOTION.margin(numbers))
        np.testing.assert_allclose(blurred[away], photo[away], atol=1e-6)
        assert np.abs(blurred - photo).max() > 0.02


def test_with_a_moving_background_that_is_blurred_too(make_photo):
    photo = to_linear(make_photo(160, 160))
    numbers = drawn(2, background=0.5, radius=0.15, centre_x=0.3, centre_y=0.3)
    away = far_from(mask_of(numbers, (160, 160)), MOTION.margin(numbers))
    assert np.abs(MOTION.apply(photo, numbers) - photo)[away].max() > 0.02


def test_at_its_edge_the_object_hides_the_background_by_the_time_that_it_was_there():
    """A white object before black: the light at each pixel is the share of time that the object covered it."""
    numbers = drawn(1, background=0.0, turn=0.0, radius=0.25, centre_x=0.5, centre_y=0.5)
    mask = mask_of(numbers, (121, 121))
    white = np.repeat((mask > 0.5).astype(np.float32)[..., None], 3, axis=2)
    light = MOTION.apply(white, numbers)[..., 0]
    assert light.min() >= -1e-6
    assert light.max() <= 1 + 1e-6
    # Where the object covered the background the whole time, the background does not shine through.
    core = far_from(1 - mask, MOTION.margin(numbers))
    np.testing.assert_allclose(light[core], 1, atol=1e-6)
    assert ((light > 0.05) & (light < 0.95)).sum() > 0.5 * numbers["extent"] * 2 * 0.25 * 121
    assert light.sum() == pytest.approx(white[..., 0].sum(), rel=0.03)  # the object keeps its size


def test_what_was_hidden_is_the_mirror_image_at_the_outline():
    image = np.tile(np.arange(20, dtype=np.float32)[None, :, None], (9, 1, 3))
    mask = np.zeros((9, 20), np.float32)
    mask[:, 12:] = 1
    behind = mirrored_under(image, mask)
    np.testing.assert_array_equal(behind[:, :12], image[:, :12])
    np.testing.assert_array_equal(behind[4, 12:, 0], [10, 9, 8, 7, 6, 5, 4, 3])


def test_an_object_that_fills_the_image_hides_nothing_that_could_be_known():
    image = np.random.default_rng(0).random((8, 8, 3), np.float32)
    np.testing.assert_array_equal(mirrored_under(image, np.ones((8, 8), np.float32)), image)


def test_a_blob_is_in_its_place_and_about_its_size():
    areas = []
    for seed in range(30):
        numbers = drawn(seed, radius=0.25, centre_x=0.5, centre_y=0.5)
        mask = mask_of(numbers, (100, 160))
        assert mask[50, 80] == 1
        assert 0 <= mask.min() <= mask.max() <= 1
        areas.append(mask.sum())
    assert np.median(areas) == pytest.approx(np.pi * 25**2, rel=0.15)


def test_a_size_the_wrong_way_round_is_refused():
    with pytest.raises(UnblurError, match="object motion, size"):
        ObjectMotion(1, 2, size=[0.4, 0.1])
