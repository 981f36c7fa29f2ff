"""Regions and windows lie in the picture, or are refused in a line that says what would."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from unblur.errors import UsageError
from unblur.explaining.region import Region, most_corrected, region_at, window_around


def test_a_region_in_the_picture():
    assert region_at(50, 40, 16, 80, 100) == Region(42, 32, 16)
    assert region_at(8, 8, 16, 80, 100) == Region(0, 0, 16)


@pytest.mark.parametrize(("place", "size", "told"), [
    ((5, 40), 16, "--at 5,40: a region of 16 pixels around it leaves the picture, which is 100 x 80; expected 8 to 92"),
    ((50, 400), 16, "expected 8 to 92 and 8 to 72"),
    ((50, 40), 90, "--size 90: expected 8 to 80, as the picture is 100 x 80"),
    ((50, 40), 2, "--size 2: expected 8 to 80"),
])  # fmt: skip
def test_a_region_outside_is_refused(place, size, told):
    with pytest.raises(UsageError, match=told):
        region_at(*place, size, 80, 100)


def test_a_region_fits_its_window():
    with pytest.raises(UsageError, match="--size 129: expected 8 to 128, as the picture is 400 x 300"):
        region_at(200, 150, 129, 300, 400)


def test_a_region_at_numbers_of_numpy_is_told_in_those_of_python():
    region = region_at(np.int64(50), np.int32(40), np.int64(16), 80, 100)
    assert json.dumps(asdict(region)) == '{"left": 42, "top": 32, "size": 16}'


def test_the_place_that_was_changed_most_is_found():
    before = np.zeros((60, 90, 3), np.float32)
    after = before.copy()
    after[20:36, 50:66] = 0.3
    assert most_corrected(before, after, 16) == Region(50, 20, 16)


def test_a_flat_place_and_the_rim_are_not_chosen():
    rng = np.random.default_rng(0)
    before = np.full((96, 96, 3), 0.5, np.float32)
    before[:48] += 0.2 * np.sign(np.sin(np.arange(96) / 2))[None, :, None].astype(np.float32)
    before += rng.normal(0, 0.005, before.shape).astype(np.float32)
    after = before.copy()
    after[64:80, 64:80] += 0.3  # flat
    after[:8, 40:56] += 0.3  # at the rim
    after[24:40, 20:36] += 0.1
    found = most_corrected(before, after, 16)
    assert found.left == pytest.approx(20, abs=3)  # the flat columns at its sides do not count
    assert found.top == 24
    assert most_corrected(before, after, 96) == Region(0, 0, 96)


def test_the_window_is_moved_into_the_picture():
    assert window_around(Region(0, 0, 16), 64, 80, 100) == Region(0, 0, 64)
    assert window_around(Region(80, 60, 16), 64, 80, 100) == Region(36, 16, 64)
    assert window_around(Region(10, 10, 16), 640, 80, 100).size == 80
