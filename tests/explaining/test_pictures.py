"""A map of choices has a colour for each choice, in the map and in its colour bar."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from unblur.explaining.pictures import MAGNITUDE, draw_choice, draw_map


@pytest.mark.parametrize("count", [2, 4, 7])
def test_every_choice_is_in_the_colour_bar(count):
    png = draw_choice(np.zeros((40, 40), np.int64), range(count), "shot (0 is restored)")
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    colours = (255 * colormaps[MAGNITUDE].resampled(count)(np.arange(count))[:, :3]).round().astype(int)
    found = [int((np.abs(pixels - colour).max(axis=1) <= 1).sum()) for colour in colours]
    assert min(found) > 100  # the bar's field
    assert found[0] > 10 * max(found[1:])  # the map's own


@pytest.mark.parametrize("lit", [0.0, 0.4, 0.6, 1.0])
def test_a_map_over_a_picture_of_which_much_is_white_is_drawn(lit, recwarn):
    under = np.linspace(0, 0.9, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)
    under[:, : round(64 * lit)] = 1
    assert draw_map(np.ones((64, 64)), "steps", under=under).startswith(b"\x89PNG")
    assert not recwarn.list
