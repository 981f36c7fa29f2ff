import dataclasses

import numpy as np
import pytest

from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.data.explain import explain, find_row, impulses
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import Source
from unblur.data.pairs import prepare_pairs
from unblur.errors import UnblurError
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
