"""Frames that were exchanged or put elsewhere are found; panning, halting and still sequences raise no alarm."""

import numpy as np
import pytest

from unblur.data.near_duplicates import fingerprint
from unblur.ingest.frame_order import misplaced


def sequence(make_photo, places, seed=0):
    """Small grey frames of a camera that pans over a photograph to the given places, in pixels."""
    scene = make_photo(120, 400, seed)
    return [fingerprint(np.ascontiguousarray(scene[:, place : place + 160])).grey for place in places]


@pytest.mark.property
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "places",
    [range(0, 96, 8), [int(40 + 40 * np.sin(t / 3)) for t in range(24)], [0] * 12, [0] * 6 + [9, 18, 27] + [30] * 6],
    ids=["pan", "swing", "still", "start and halt"],
)
def test_a_sequence_in_order_raises_no_alarm(make_photo, places, seed):
    assert misplaced(sequence(make_photo, places, seed), 0.75) == []


@pytest.mark.parametrize("seed", range(5))
def test_two_exchanged_frames_are_found(make_photo, seed):
    places = list(range(0, 96, 8))
    places[5], places[6] = places[6], places[5]
    assert 5 in misplaced(sequence(make_photo, places, seed), 0.75)


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_of_elsewhere_is_found(make_photo, seed):
    places = list(range(0, 96, 8))
    places[4] = 230
    assert 4 in misplaced(sequence(make_photo, places, seed), 0.75)


def test_fewer_than_four_frames_tell_nothing(make_photo):
    assert misplaced(sequence(make_photo, [0, 90, 10]), 0.75) == []
