import numpy as np
import pytest

from unblur.blur.camera_motion import CameraMotion
from unblur.blur.optics import Defocus
from unblur.blur.recipe import BlurRecipe
from unblur.blur.sequence import VideoRecipe
from unblur.blur.trajectory import CameraShake
from unblur.data.images import read_rgb
from unblur.errors import UnblurError
from unblur.ingest.contact_sheet import GAP, LINE
from unblur.ingest.recipe_sheet import write_recipe_sheet

RECIPE = BlurRecipe({"shake": CameraShake(3, 12), "defocus": Defocus(1, 5)}, {"shake": 1, "defocus": 1})


def tiles(path, side):
    sheet = read_rgb(path)
    for top in range(GAP + LINE, sheet.shape[0] - side, side + LINE + GAP):
        for left in range(GAP, sheet.shape[1] - side, side + GAP):
            yield sheet[top : top + side, left : left + side]


def test_the_sharp_middle_comes_first_and_then_every_kind_weak_to_strong(tmp_path, make_photo):
    photo = make_photo(80, 100)
    write_recipe_sheet(tmp_path / "sheet.png", RECIPE, photo, side=64, count=7)
    shown = list(tiles(tmp_path / "sheet.png", 64))
    assert len(shown) == 8
    np.testing.assert_array_equal(shown[0], photo[8:72, 18:82])
    lost = [np.square(tile.astype(float) - shown[0]).mean() for tile in shown[1:]]
    assert min(lost) > 1
    assert lost[0] < lost[3]  # four of one kind, then three of the other
    assert lost[4] < lost[6]


def test_of_a_video_its_frames_are_shown(tmp_path, make_photo):
    write_recipe_sheet(tmp_path / "sheet.png", VideoRecipe(CameraMotion(4, 9), 3), make_photo(80, 100), side=64)
    shown = list(tiles(tmp_path / "sheet.png", 64))
    assert len({tile.tobytes() for tile in shown}) == len(shown) == 4


@pytest.mark.parametrize("side", [8, 81])
def test_a_side_that_does_not_fit_is_told(tmp_path, make_photo, side):
    with pytest.raises(UnblurError, match=rf"100 x 80 pixels, got a side of {side}; expected 16 to 80"):
        write_recipe_sheet(tmp_path / "sheet.png", RECIPE, make_photo(80, 100), side=side)
