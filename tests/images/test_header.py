"""A picture's header is enough to refuse it."""

import struct
import warnings
import zlib
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from unblur.errors import UnblurError
from unblur.images.header import ImageHeader, check_image_header
from unblur.images.photo import read_photo


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_header_only(path, width, height):
    """A PNG that announces its size and holds no pixels: decoding it would fail, its header is fine."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


def test_nothing_is_decoded(tmp_path):
    path = png_header_only(tmp_path / "a.png", 4000, 3000)
    assert check_image_header(path) == ImageHeader(4000, 3000, "RGB", "PNG", 8)


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("colour.bmp", "RGB", ImageHeader(6, 4, "RGB", "BMP", 8)),
        ("grey.jpg", "L", ImageHeader(6, 4, "L", "JPEG", 8)),
        ("alpha.webp", "RGBA", ImageHeader(6, 4, "RGBA", "WEBP", 8)),
        ("cmyk.tif", "CMYK", ImageHeader(6, 4, "SEPARATED", "TIFF", 8)),
        ("bits.png", "1", ImageHeader(6, 4, "1", "PNG", 1)),
        ("deep.png", "I;16", ImageHeader(6, 4, "I;16", "PNG", 16)),
        ("deep.pgm", "I", ImageHeader(6, 4, "I", "PPM", 16)),
        ("float.tif", "F", ImageHeader(6, 4, "MINISBLACK IEEEFP", "TIFF", 32)),
    ],
)
def test_the_header_says_size_mode_format_and_bits(tmp_path, name, mode, expected):
    Image.new(mode, (6, 4), 1 if mode == "RGBA" else 0).save(tmp_path / name)
    assert check_image_header(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.gif", "GIF"), ("a.jp2", "JPEG 2000"), ("a.j2k", "JPEG 2000"), ("a.ico", "icon"), ("a.pdf", "PDF")],
)
def test_what_is_not_read_is_refused_by_name(tmp_path, name, kind):
    Image.new("RGB", (32, 32)).save(tmp_path / name)
    with pytest.raises(UnblurError, match=rf"a\.\w+: a {kind}.* is not read; PNG, JPEG, .* was expected$"):
        check_image_header(tmp_path / name)


@pytest.mark.parametrize(
    "encoded",
    [
        imagecodecs.jpeg8_encode(np.zeros((16, 16, 3), np.uint16), bitspersample=12),
        imagecodecs.ljpeg_encode(np.zeros((16, 16), np.uint16), bitspersample=12),
        b"\xff\xd8\xff\xe0",
    ],
)
def test_a_jpeg_that_is_none_of_8_bits_is_refused_by_name(tmp_path, encoded):
    (tmp_path / "a.jpg").write_bytes(encoded)
    with pytest.raises(UnblurError, match="a JPEG that is damaged, lossless or of 12 bits is not read"):
        check_image_header(tmp_path / "a.jpg")


def test_one_pixel_and_a_phone_s_two_picture_jpeg(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    assert check_image_header(tmp_path / "one.png") == ImageHeader(1, 1, "RGB", "PNG", 8)
    left, right = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "red")
    left.save(tmp_path / "two.jpg", format="MPO", save_all=True, append_images=[right])
    assert check_image_header(tmp_path / "two.jpg") == ImageHeader(8, 8, "RGB", "MPO", 8)


def test_16_bit_colour_is_seen_although_pillow_calls_it_rgb(tmp_path):
    content = zlib.compress(b"".join(b"\0" + bytes(6 * 5) for _ in range(3)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 3, 16, 2, 0, 0, 0))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", content) + chunk(b"IEND", b""))
    assert check_image_header(path) == ImageHeader(5, 3, "RGB", "PNG", 16)


@pytest.mark.parametrize("side", [10_000, 14_200, 40_000])
def test_pillow_s_bomb_warning_and_error_are_one_clear_line(tmp_path, side):
    path = png_header_only(tmp_path / "huge.png", side, side)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(UnblurError, match=r"huge\.png: more than 89\.5 megapixels.*scale it down"):
            check_image_header(path)
    assert not seen


def test_fifty_megapixels_pass_and_a_lower_limit_holds(tmp_path):
    path = png_header_only(tmp_path / "large.png", 8660, 5774)
    assert check_image_header(path).width == 8660
    with pytest.raises(UnblurError, match=r"50\.0 megapixels \(8660 x 5774\), at most 20\.0"):
        check_image_header(path, max_pixels=20_000_000)


def test_the_limit_on_bytes_holds(tmp_path):
    path = png_header_only(tmp_path / "a.png", 4, 4)
    with pytest.raises(UnblurError, match=r"a\.png: \d+ bytes, at most 10 are read"):
        check_image_header(path, max_bytes=10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello, I am a text", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture|damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript is not read"),
        (b"GIF89a" + bytes(40), "a GIF is not read"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, message):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(UnblurError, match=message) as caught:
        check_image_header(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UnblurError, match="there is no such file"):
            check_image_header(path)


@pytest.mark.parametrize("field", range(9))
@pytest.mark.parametrize("what", ["type", "count", "value"])
def test_a_damaged_field_of_a_tiff_is_told_in_a_line(tmp_path, field, what):
    """Each entry of the directory: tag, type (2 bytes each), count, value (4 bytes each)."""
    path = tmp_path / "photo.tif"
    Image.new("RGB", (32, 24), (200, 100, 50)).save(path)
    whole = path.read_bytes()
    first = int.from_bytes(whole[4:8], "little")
    assert field < int.from_bytes(whole[first : first + 2], "little")
    at = first + 2 + 12 * field + {"type": 2, "count": 4, "value": 8}[what]
    length = 2 if what == "type" else 4
    for number in (0, 1, 2, 5, 12, 0x7FFF, 0xFFFF):
        path.write_bytes(whole[:at] + number.to_bytes(length, "little") + whole[at + length :])
        with suppress(UnblurError):  # whatever else it raises is a fault
            header = check_image_header(path)
            assert isinstance(header.width * header.height, int)
            read_photo(path)
