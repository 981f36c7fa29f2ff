import dataclasses

import numpy as np
import pytest

from unblur.blur.averaging import Averaging
from unblur.blur.frame_averaging import FrameAveraging
from unblur.blur.optics import Defocus
from unblur.blur.origin import Origin
from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import Source
from unblur.data.pairs import prepare_pairs
from unblur.errors import UnblurError
from unblur.ingest.averaging import average_videos
from unblur.ingest.explain import close_up, explain, explain_average, find_row, impulses, show_pair
from unblur.safety.hashing import sha256_file

RECIPE = BlurRecipe({"shake": CameraShake(5, 9)}, {"shake": 1})


@pytest.fixture
def rows(tmp_path, make_photo):
    write_png(tmp_path / "photos/cup.png", make_photo(60, 90))
    source = Source("photos/cup.png", "val", "cup", sha256_file(tmp_path / "photos/cup.png"), "CC0")
    return prepare_pairs([source], tmp_path, tmp_path / "out", RECIPE, pairs_per_photo={"val": 2}, max_side={}, seed=0)


def test_a_pair_is_drawn_when_its_bytes_are_the_stored_ones(rows, tmp_path):
    explain(rows[1], tmp_path, RECIPE, tmp_path / "figure.png")
    assert read_rgb(tmp_path / "figure.png").std() > 10


def test_changed_bytes_are_told(rows, tmp_path):
    with pytest.raises(UnblurError, match="not the stored ones"):
        explain(dataclasses.replace(rows[0], blur_sha256="0"), tmp_path, RECIPE, tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


def test_rows_are_found_by_name_and_number(rows):
    assert find_row(rows, rows[1].pair) == find_row(rows, "1") == rows[1]
    with pytest.raises(UnblurError, match="no pair 'cat'"):
        find_row(rows, "cat")


def test_the_grid_of_points_keeps_its_energy():
    drawn = RECIPE.draw(np.random.default_rng(0))
    assert impulses(RECIPE, drawn, 90, 90).sum() == pytest.approx(9, abs=1e-3)


def test_the_light_that_a_recipe_changes_around_the_blur_is_not_in_the_points_of_light(make_photo):
    recipe = dataclasses.replace(RECIPE, averaging=Averaging([1.0]), origin=Origin(1.0))
    assert impulses(recipe, recipe.draw(np.random.default_rng(0)), 90, 90).sum() == pytest.approx(9, abs=1e-3)


def test_an_average_of_frames_is_shown_with_its_motion(tmp_path, make_video, make_photo):
    wide = make_photo(48, 160)
    make_video(tmp_path / "clip.mkv", [wide[:, 2 * index : 2 * index + 64] for index in range(9)])
    rows = average_videos(tmp_path, tmp_path / "out", FrameAveraging(5), stride=5).rows
    explain_average(rows[0], tmp_path, tmp_path / "figure.png")
    assert read_rgb(tmp_path / "figure.png").std() > 10
    with pytest.raises(UnblurError, match="not the stored ones"):
        explain_average(dataclasses.replace(rows[0], sharp_sha256="0"), tmp_path, tmp_path / "other.png")


def test_a_pair_of_a_camera_is_shown_as_it_is(rows, tmp_path):
    show_pair(rows[0], tmp_path / "out", tmp_path / "figure.png")
    assert read_rgb(tmp_path / "figure.png").std() > 10
    with pytest.raises(UnblurError, match="has no blur yet"):
        show_pair(dataclasses.replace(rows[0], blur=""), tmp_path / "out", tmp_path / "figure.png")


def test_another_recipe_than_the_one_that_made_it_is_told(rows, tmp_path):
    other = BlurRecipe({"shake": Defocus(2, 3)}, {"shake": 1})  # of the same name, and needs other numbers
    with pytest.raises(UnblurError, match=r"lacks 'radius', .* with --blur"):
        explain(rows[0], tmp_path, other, tmp_path / "figure.png")


def test_close_ups_show_each_point_of_light_at_its_place_in_the_picture():
    spread = np.zeros((90, 120), np.float32)
    spread[15, 20] = spread[15, 22] = 0.25  # the first point, spread to the right
    spread[75, 100] = 1.0  # the last one, as it was
    sheet = close_up(spread, 4)
    assert sheet.shape == (29, 29)
    assert sheet[4, 4] == sheet[4, 6] == sheet[24, 24] == 1
    assert (sheet == 1).sum() == 3
    assert (sheet[9] == 0.5).all()
