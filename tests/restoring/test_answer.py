import numpy as np

from unblur.restoring.answer import finish, restore_pixels
from unblur.restoring.strength import NOTHING_TO_GAIN, blend
from unblur.runtimes.tiles import restore_tiled


def negative(batch):
    return 1 - batch


def broken_at_the_left(batch):
    restored = batch.copy()
    restored[..., :32] = np.nan
    return restored


def test_it_is_tiles_then_strength(make_photo):
    photo = make_photo(90, 120)
    answer = restore_pixels(negative, photo, tile=64, overlap=16, strength=0.3, guard=False)
    whole = restore_tiled(negative, photo, 64, 16)
    np.testing.assert_array_equal(answer.pixels, blend(photo, whole, 0.3))
    assert answer.changed
    assert answer.notes == ()


def test_what_the_guard_puts_back_is_noted(make_photo):
    photo = make_photo(96, 128)
    answer = restore_pixels(broken_at_the_left, photo)
    np.testing.assert_array_equal(answer.pixels, photo)
    (note,) = answer.notes
    assert "not finite at 0,0" in note


def test_where_nothing_is_to_gain_the_input_stays(make_photo):
    photo = make_photo(96, 128)
    answer = finish(photo, photo, None, None)
    assert answer.pixels is photo
    assert not answer.changed
    assert answer.notes == (NOTHING_TO_GAIN,)


def test_floats_are_blended_as_integers_are(make_photo):
    photo = make_photo(64, 64)
    whole = restore_pixels(negative, photo, strength=0.5, guard=False).pixels
    floats = restore_pixels(negative, (photo / np.float32(255)).astype(np.float32), strength=0.5, guard=False).pixels
    assert floats.dtype == np.float32
    assert np.abs(floats * 255 - whole).max() < 0.53  # half a step of rounding, and the table's 0.026
