import numpy as np
import pytest
from PIL import Image

from unblur.images.photo import Photo
from unblur.images.png import read_png
from unblur.restoring.png import write_png


@pytest.mark.parametrize("shape", [(70, 50), (70, 50, 2), (70, 50, 3), (65, 33, 4), (1, 1, 3), (200, 3)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_every_value_comes_back(shape, depth, tmp_path):
    channels = np.random.default_rng(0).integers(0, np.iinfo(depth).max + 1, shape).astype(depth)
    with (tmp_path / "a.png").open("wb") as stream:
        write_png(stream, channels, Photo(channels))
    found = read_png(tmp_path / "a.png")
    stacked = channels.reshape(*shape[:2], -1)
    colours = stacked.shape[2] - (stacked.shape[2] % 2 == 0)
    np.testing.assert_array_equal(found.colour, stacked[..., :colours])
    if found.alpha is not None or colours < stacked.shape[2]:
        np.testing.assert_array_equal(found.alpha, stacked[..., -1])


def test_another_reader_sees_the_pixels_and_the_resolution(tmp_path):
    channels = np.random.default_rng(0).integers(0, 65536, (70, 50, 3), dtype=np.uint16)
    with (tmp_path / "deep.png").open("wb") as stream:
        write_png(stream, channels, Photo(channels, dpi=(300.0, 300.0)))
    with Image.open(tmp_path / "deep.png") as image:
        assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
        assert np.abs(np.asarray(image).astype(int) - (channels >> 8)).max() <= 1  # Pillow keeps the upper 8 bits
