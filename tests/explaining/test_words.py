"""The sentences name what was restored, and the place and size of what they tell."""

import numpy as np

from unblur.explaining.blur_map import BlurMap
from unblur.explaining.words import where_blurred, where_not_to_trust


def test_a_shot_is_called_a_shot():
    extent = np.ones((60, 60), np.float32)
    extent[:20, :20] = 9
    blur = BlurMap(4 * extent, np.full_like(extent, 90), np.random.default_rng(0).random((60, 60), np.float32))
    told = where_blurred("shot", blur, BlurMap(extent, extent, np.ones_like(extent)))
    assert told.startswith("The shot is blurred by about ")
    assert "mostly vertically, most of it in the upper left; the model undid about 1.9 pixels" in told
    spread = np.zeros((60, 60), np.float32)
    spread[40:, 40:] = 2 / 255
    doubt = where_not_to_trust("shot", spread, np.full_like(spread, 0.01), None)
    assert doubt == (
        "Trust it least in the lower right, where answers to turned copies of the shot differ by up to 2.0 of 255 "
        "steps; 1.0 % of the detail is invented, not in the shot."
    )
