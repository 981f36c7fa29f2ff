"""The sentences name what was restored, and the place and size of what they tell."""

import numpy as np
import pytest

from unblur.explaining.blur_map import BlurMap
from unblur.explaining.gallery import doubt_pictures
from unblur.explaining.region import Region
from unblur.explaining.words import what_counted, where_blurred, where_not_to_trust


def test_a_shot_is_called_a_shot():
    extent = np.ones((60, 60), np.float32)
    extent[:20, :20] = 9
    blur = BlurMap(4 * extent, np.full_like(extent, 90), np.random.default_rng(0).random((60, 60), np.float32))
    told = where_blurred("shot", blur, BlurMap(extent, extent, np.ones_like(extent)))
    assert told.startswith("The shot is blurred by about ")
    assert "mostly vertically, most of it in the upper left; the model undid about 1.9 pixels" in told
    spread = np.zeros((60, 60), np.float32)
    spread[40:, 40:] = 2 / 255
    doubt = where_not_to_trust("shot", spread, np.full_like(spread, 0.01), None, 0.9)
    assert doubt == (
        "Around the marked region trust it least in the lower right, where answers to turned copies of the shot differ "
        "by up to 2.0 of 255 steps; 1.0 % of the detail is invented, not in the shot."
    )


def test_where_nothing_is_corrected_nothing_counted():
    noise = 1e-9 * np.random.default_rng(0).normal(size=(1, 64, 64))
    for attribution, corrected in ((np.zeros((1, 64, 64)), 0.0), (noise, 1e-7), (np.zeros((1, 64, 64)), 0.1)):
        told = what_counted("intervention", attribution, Region(10, 10, 20), corrected)
        assert told.startswith("The model corrects nothing in the marked region")
    assert "leaned for" in what_counted("intervention", noise, Region(10, 10, 20), 0.1)


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (0.9, "nine of ten"),
        (0.8, "eight of ten"),
        (0.5, "five of ten"),
        (0.95, "95 of 100"),
        (0.99, "99 of 100"),
        (0.29, "29 of 100"),
        (0.925, "925 of 1000"),
        (0.6827, "68.27 of 100"),
    ],
)
def test_a_bound_tells_the_share_of_pixels_that_it_was_asked_for(level, said):
    spread, bound = np.zeros((60, 60), np.float32), np.full((60, 60), 8 / 255, np.float32)
    told = where_not_to_trust("photograph", spread, spread, bound, level)
    assert f"errors, for {said} pixels, stay below 8 steps at the median, and below 8 in the worst tenth" in told
    photo = np.random.default_rng(0).random((60, 60, 3), np.float32)
    pictures = doubt_pictures(spread, photo, Region(10, 10, 20), bound, level)
    assert pictures[1].about == f"{said} pixels are wrong by less than this"
