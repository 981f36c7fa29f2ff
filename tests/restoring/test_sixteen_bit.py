import numpy as np
import pytest
from PIL import Image

from unblur.errors import UnblurError
from unblur.restoring import sixteen_bit


@pytest.mark.parametrize("shape", [(70, 50), (70, 50, 3), (65, 33, 4), (1, 1, 3), (200, 3)])
def test_every_value_comes_back(shape, tmp_path):
    channels = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    sixteen_bit.write_png(tmp_path / "deep.png", channels, None, None, None)
    colour, alpha = sixteen_bit.read(tmp_path / "deep.png")
    np.testing.assert_array_equal(colour, channels[..., :3] if len(shape) == 3 else channels)
    assert (alpha is not None) == (shape[2:] == (4,))
    if alpha is not None:
        np.testing.assert_array_equal(alpha, channels[..., 3])


def test_another_reader_sees_the_pixels_and_the_resolution(tmp_path):
    channels = np.random.default_rng(0).integers(0, 65536, (70, 50, 3), dtype=np.uint16)
    sixteen_bit.write_png(tmp_path / "deep.png", channels, None, None, (300.0, 300.0))
    with Image.open(tmp_path / "deep.png") as image:
        assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
        assert np.abs(np.asarray(image).astype(int) - (channels >> 8)).max() <= 1  # Pillow keeps the upper 8 bits


def test_eight_bits_are_refused(tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    with pytest.raises(UnblurError, match="16-bit"):
        sixteen_bit.read(tmp_path / "a.png")
