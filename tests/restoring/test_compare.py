import numpy as np
from PIL import Image

from unblur.restoring.compare import DETAIL, GAP, OVERVIEW, most_changed, write_comparison


def test_a_small_photograph_stands_unscaled_on_both_sides(tmp_path, make_photo):
    before, after = make_photo(40, 60, 0), make_photo(40, 60, 1)
    write_comparison(before, after, tmp_path / "c.png")
    sheet = np.asarray(Image.open(tmp_path / "c.png"))
    assert sheet.shape == (40, 120 + GAP, 3)
    np.testing.assert_array_equal(sheet[:, :60], before)
    np.testing.assert_array_equal(sheet[:, -60:], after)


def test_a_large_one_is_scaled_and_shows_where_it_changed_most(tmp_path, make_photo):
    before = make_photo(700, 1500)
    after = before.copy()
    after[350:450, 1000:1100] ^= 255
    top, left = most_changed(before, after)
    assert top <= 350 < 450 <= top + DETAIL
    assert left <= 1000 < 1100 <= left + DETAIL
    write_comparison(before, after, tmp_path / "c.png")
    sheet = np.asarray(Image.open(tmp_path / "c.png"))
    assert sheet.shape == (560 + GAP + DETAIL, 2 * OVERVIEW + GAP, 3)
    np.testing.assert_array_equal(
        sheet[-DETAIL:, DETAIL + GAP : 2 * DETAIL + GAP], after[top : top + DETAIL, left : left + DETAIL]
    )
