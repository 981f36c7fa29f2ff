import numpy as np
import pytest

from unblur.blur.camera_motion import CameraMotion
from unblur.blur.light import to_linear
from unblur.errors import UnblurError

MOTION = CameraMotion(2, 20)


def spread(parameters, y, x, side=161):
    """Standard deviation in pixels of the light of a point at (y, x)."""
    point = np.zeros((side, side, 3), np.float32)
    point[y, x] = 1
    light = MOTION.apply(point, parameters)[..., 0].astype(float)
    rows, columns = np.arange(side), np.arange(side)
    total = light.sum()
    mean = light.sum(axis=1) @ rows / total, light.sum(axis=0) @ columns / total
    return np.sqrt(
        light.sum(axis=1) @ (rows - mean[0]) ** 2 / total + light.sum(axis=0) @ (columns - mean[1]) ** 2 / total
    )


def test_roll_leaves_the_middle_sharp_and_blurs_the_corners():
    rolled = MOTION.draw(np.random.default_rng(0), 1.0) | {
        "roll": 50.0, "forwards": 0.0, "sideways": 0.0, "window": 1.0, "window_x": 0.0, "window_y": 0.0,
    }  # fmt: skip
    assert spread(rolled, 80, 80) < 0.4
    assert spread(rolled, 30, 30) > 2
    assert spread(rolled, 30, 30) == pytest.approx(2 * spread(rolled, 55, 55), rel=0.15)


def test_a_small_window_is_blurred_evenly_and_the_whole_picture_is_not():
    def unevenness(window):
        ratios = []
        for seed in range(6):
            numbers = MOTION.draw(np.random.default_rng(seed), 0.8) | {
                "window": window, "window_x": 0.0, "window_y": 0.0, "roll": 1.5, "extent": 20.0,
            }  # fmt: skip
            widths = [spread(numbers, y, x) for y in (25, 80, 135) for x in (25, 80, 135)]
            ratios.append(max(widths) / min(widths))
        return np.median(ratios)

    assert unevenness(0.05) < 1.3
    assert unevenness(1.0) > 1.5


def test_in_the_middle_of_the_exposure_the_picture_stands_still():
    for seed in range(5):
        numbers = MOTION.draw(np.random.default_rng(seed), 1.0)
        poses, view = MOTION.path(numbers, (90, 120))
        np.testing.assert_allclose(view.homographies(poses)[len(poses) // 2], np.eye(3), atol=1e-12)


def test_the_strength_is_what_the_fastest_corner_moves_and_the_margin_holds_it():
    for seed in range(10):
        numbers = MOTION.draw(np.random.default_rng(seed), seed / 9)
        poses, view = MOTION.path(numbers, (90, 120))
        tracks = view.tracks(poses)
        widest = max(np.abs(track[:, None] - track[None, :]).max() for track in tracks)
        assert widest == pytest.approx(MOTION.strength(numbers), rel=0.02)
        assert np.abs(tracks - tracks[:, 128:129]).max() <= MOTION.margin(numbers)


def test_a_crop_and_its_margin_see_no_border(make_photo):
    """What lies beyond the margin changes nothing inside it."""
    photo = to_linear(make_photo(100, 120))
    numbers = MOTION.draw(np.random.default_rng(3), 0.5)
    m = MOTION.margin(numbers)
    ends = photo.copy()
    ends[0] = ends[-1] = 0
    ends[:, 0] = ends[:, -1] = 0
    inside = slice(m, -m)
    np.testing.assert_allclose(
        MOTION.apply(ends, numbers)[inside, inside], MOTION.apply(photo, numbers)[inside, inside], atol=1e-6
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"focal": [2, 1]}, "focal"), ({"focal": [0, 1]}, "focal"), ({"min_window": 0}, "min_window")],
)
def test_ranges_that_make_no_sense_are_refused(wrong, says):
    with pytest.raises(UnblurError, match=f"camera motion, {says}"):
        CameraMotion(1, 2, **wrong)
