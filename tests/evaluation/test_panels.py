import numpy as np
import pytest
from PIL import Image

from unblur.data.images import read_rgb
from unblur.evaluation.panels import COLUMN, GAP, ZOOM, choose_pairs, draw_panel, most_changed, write_panels
from unblur.evaluation.score import score

MAIN = "psnr/literature"


def test_detail_is_where_the_change_is(make_photo):
    before = make_photo(80, 120)
    after = before.copy()
    after[50:58, 88:96] ^= 128
    after[5, 5] ^= 255
    window = most_changed(before, after, 24)
    assert (window.height, window.width) == (24, 24)
    assert window.top <= 50
    assert window.top + 24 >= 58
    assert window.left <= 88
    assert window.left + 24 >= 96
    assert window.cut(after).shape == (24, 24, 3)


@pytest.mark.parametrize("corner", [(0, 0), (79, 119)])
def test_detail_stays_inside_the_image(make_photo, corner):
    before = make_photo(80, 120)
    after = before.copy()
    after[corner] ^= 255
    window = most_changed(before, after, 24)
    assert window.top in range(57)
    assert window.left in range(97)
    assert (window.cut(before) != window.cut(after)).any()


def test_detail_of_a_small_image_is_all_of_it(make_photo):
    photo = make_photo(10, 31)
    window = most_changed(photo, photo, 24)
    assert (window.top, window.height, window.width) == (0, 10, 24)


def test_pairs_span_the_ranking(make_scores):
    scores = make_scores()  # ranked: 4, 0, 5, 1, 2, 3
    assert choose_pairs(scores, MAIN, 3) == ["pair_4", "pair_5", "pair_3"]
    assert choose_pairs(scores, MAIN, 2) == ["pair_4", "pair_3"]
    assert choose_pairs(scores, MAIN, 0) == []
    assert sorted(choose_pairs(scores, MAIN, 99)) == [f"pair_{index}" for index in range(6)]


def test_enlarged_detail_shows_the_pixels_themselves(make_photo):
    before, truth = make_photo(130, 150, seed=1), make_photo(130, 150, seed=2)
    after = before.copy()
    after[30:126, 20:116] = 255 - after[30:126, 20:116]
    panel = draw_panel("title", ("a", "b", "c"), (before, after, truth))
    side = COLUMN // ZOOM
    top = panel.shape[0] - GAP - side * ZOOM
    for column, image in enumerate((before, after, truth)):
        left = GAP + column * (COLUMN + GAP)
        shown = panel[top : top + side * ZOOM : ZOOM, left : left + side * ZOOM : ZOOM]
        window = most_changed(before, after, side)
        assert np.array_equal(shown, window.cut(image))


def test_panels_are_written_under_the_names_of_their_pairs(prepared, tmp_path):
    root, rows = prepared
    scores = [
        item
        for name, factor in (("blurred", 1.0), ("model", 0.9))
        for item in score(name, lambda batch, f=factor: batch * np.float32(f), rows, root, [MAIN])
    ]
    folder = tmp_path / "out" / "panels"
    paths = write_panels(folder, rows[:2], root, lambda batch: batch * np.float32(0.9), scores=scores, profile=MAIN)
    assert sorted(folder.iterdir()) == sorted(paths) == [folder / "photo_00.png", folder / "photo_01.png"]
    assert [item.name for item in folder.parent.iterdir()] == ["panels"]
    with Image.open(paths[0]) as panel:
        assert panel.width == 3 * COLUMN + 4 * GAP
    assert read_rgb(paths[0]).std() > 20
