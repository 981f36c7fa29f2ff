import numpy as np
import pytest
from PIL import Image

from unblur.images.in_memory import take


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 1), (7, 9, 3), (7, 9, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_array_that_is_not_changed_comes_back_as_it_was(shape, dtype):
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    array = (np.random.default_rng(0).random(shape) * white).astype(dtype)
    taken = take(array)
    assert (taken.pixels.shape, taken.pixels.dtype) == ((7, 9, 3), dtype)
    np.testing.assert_allclose(taken.back(taken.pixels), array, rtol=1e-6)


def test_floats_beyond_white_and_black_are_clipped():
    taken = take(np.array([[[-0.5, 0.25, 1.5]]]))
    np.testing.assert_array_equal(taken.pixels, np.float32([[[0, 0.25, 1]]]))
    np.testing.assert_array_equal(taken.back(np.float32([[[-0.1, 0.5, 1.1]]])), [[[0, 0.5, 1]]])


def test_the_three_answers_to_grey_become_one():
    taken = take(np.zeros((1, 1), np.uint8))
    np.testing.assert_array_equal(taken.back(np.uint8([[[10, 11, 14]]])), [[12]])


@pytest.mark.parametrize(
    ("mode", "back"), [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("I;16", "I;16"), ("PA", "RGBA"), ("La", "RGBA")]
)
def test_modes_of_pillow(mode, back):
    if mode == "I;16":
        image = Image.fromarray(np.full((7, 9), 5000, np.uint16))
    elif mode == "La":
        image = Image.new("LA", (9, 7), (200, 90)).convert("La")
    elif mode == "PA":
        image = Image.new("RGB", (9, 7), (10, 200, 30)).convert("P").convert("PA")
    else:
        image = Image.new("RGB", (9, 7), (10, 200, 30)).convert(mode)
    taken = take(image)
    restored = taken.back(taken.pixels)
    assert (restored.mode, restored.size) == (back, (9, 7))
    expected = image if mode == back else image.convert("LA" if mode == "La" else back).convert(back)
    np.testing.assert_array_equal(np.asarray(restored), np.asarray(expected))


def test_the_profile_of_four_inks_does_not_come_back_with_three_colours():
    images = [Image.new(mode, (9, 7)) for mode in ("CMYK", "RGB")]
    for image in images:
        image.info = {"icc_profile": b"profile", "dpi": (72, 72)}
    inks, colours = (taken.back(taken.pixels).info for taken in map(take, images))
    assert (inks, colours) == ({"dpi": (72, 72)}, {"icc_profile": b"profile", "dpi": (72, 72)})


@pytest.mark.parametrize(("order", "mode"), [(">u2", "I;16B"), ("<u2", "I;16")])
def test_sixteen_bits_stay_whatever_their_byte_order(order, mode):
    grey = np.arange(63, dtype=np.uint16).reshape(7, 9) * 1000
    image = Image.frombytes(mode, (9, 7), grey.astype(order).tobytes())
    taken = take(image)
    assert taken.pixels.dtype == np.uint16
    np.testing.assert_array_equal(taken.pixels[..., 0], grey)
    restored = taken.back(taken.pixels)
    assert restored.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(restored), grey)


def test_a_path_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(np.zeros((7, 9, 3), np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert take(str(tmp_path / "a.png")).pixels.shape == (9, 7, 3)
