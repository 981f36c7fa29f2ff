"""Every kind of picture becomes the same (H, W, 3) bytes; a broken one becomes one line."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from unblur.data.images import read_rgb, write_png
from unblur.errors import UnblurError


def test_png_comes_back_as_it_was_written(tmp_path, make_photo):
    photo = make_photo(31, 45)
    write_png(tmp_path / "new" / "a.png", photo)
    back = read_rgb(tmp_path / "new" / "a.png")
    assert back.dtype == np.uint8
    assert back.flags.writeable
    np.testing.assert_array_equal(back, photo)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_a_reversed_view_is_written_as_it_reads(tmp_path, make_photo):
    photo = make_photo(12, 9)[:, ::-1]
    write_png(tmp_path / "a.png", photo)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), photo)


def test_one_pixel(tmp_path):
    write_png(tmp_path / "a.png", np.array([[[1, 2, 3]]], np.uint8))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), [[[1, 2, 3]]])


def test_grey_is_three_equal_channels(tmp_path, make_photo):
    grey = make_photo()[..., 0]
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), np.stack([grey] * 3, -1))


def test_transparency_is_dropped_and_the_colours_stay(tmp_path, make_photo):
    photo = make_photo()
    alpha = np.zeros_like(photo[..., :1])
    Image.fromarray(np.concatenate([photo, alpha], -1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), photo)


def test_a_palette_and_black_and_white_are_converted(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "p.png"), [[[255, 0, 0], [0, 0, 255]]])
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "1.png")[0, :, 0], [255, 0])


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_cmyk_is_ink_not_light(tmp_path, suffix):
    """No ink is white, full cyan has no red: the definition of the subtractive colours."""
    for inks, light in [((0, 0, 0, 0), (255, 255, 255)), ((255, 0, 0, 0), (0, 255, 255)), ((0, 0, 0, 255), (0, 0, 0))]:
        Image.new("CMYK", (16, 16), inks).save(tmp_path / f"a.{suffix}")
        np.testing.assert_allclose(read_rgb(tmp_path / f"a.{suffix}").astype(int), np.full((16, 16, 3), light), atol=3)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "colour.png", "colour.tif", "alpha.png"])
def test_16_bits_are_scaled_to_8(tmp_path, name):
    """The reference is the value / 257, since 65535 / 257 = 255; the file is written by OpenCV."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    colour[0, 0] = 65535
    colour[0, 1] = 0
    if name.startswith("grey"):
        colour = np.stack([colour[..., 0]] * 3, -1)
        stored = colour[..., 0]
    else:
        stored = colour[..., ::-1]
    if name.startswith("alpha"):
        stored = np.concatenate([stored, np.full((20, 30, 1), 65535, np.uint16)], -1)
    cv2.imwrite(str(tmp_path / name), stored)
    back = read_rgb(tmp_path / name).astype(float)
    assert np.abs(back - colour / 257).max() <= 1.0
    assert back[0, 0, 0] == 255
    assert back[0, 1, 0] == 0


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_rgb(tmp_path / "a.jpg").shape == (8, 4, 3)


def test_float_pixels_are_refused_because_their_range_is_unknown(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UnblurError, match=r"a\.tif: MINISBLACK IEEEFP pixels \(32 bits\)"):
        read_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "ppm"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_one_line_that_names_it(tmp_path, make_photo, suffix, keep):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(make_photo(64, 64)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(UnblurError) as caught:
        read_rgb(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pixels_that_are_garbage_are_one_line(tmp_path):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    path = tmp_path / "a.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 3, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"not zlib at all") + chunk(b"IEND", b""))
    with pytest.raises(UnblurError, match=r"a\.png: truncated or damaged"):
        read_rgb(path)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_only_rgb_bytes_are_written(tmp_path, shape):
    with pytest.raises(UnblurError, match=r"\(H, W, 3\) uint8"):
        write_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    with pytest.raises(UnblurError, match="float32"):
        write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.float32))
    assert not list(tmp_path.iterdir())
