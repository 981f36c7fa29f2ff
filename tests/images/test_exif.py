import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from unblur.images.exif import described, upright, upright_exif
from unblur.images.header import read_orientation


def stored(orientation, suffix="JPEG", size=(48, 32)):
    """An image file with an EXIF orientation, a maker, its stored size and a place."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.ExifImageWidth: 48, ExifTags.Base.ExifImageHeight: 32})
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, suffix, exif=exif.tobytes())
    return Image.open(stream)


def turned(image):
    """The block, the orientation that the stored pixels need, and notes."""
    found = image.getexif()
    if image.format == "TIFF":
        orientation = found.get(ExifTags.Base.Orientation, 1)
        return (*described(found, orientation)[:1], orientation, ())
    orientation = read_orientation(image)
    block, notes = upright_exif(found, image.info.get("exif"), orientation)
    return block, orientation, notes


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_shows(orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    np.testing.assert_array_equal(upright(pixels, orientation), np.asarray(ImageOps.exif_transpose(image)))
    np.testing.assert_array_equal(upright(pixels[..., 0], orientation), upright(pixels, orientation)[..., 0])


@pytest.mark.parametrize("suffix", ["JPEG", "WEBP", "TIFF"])
def test_the_block_is_upright_and_keeps_the_rest(suffix):
    block, orientation, _ = turned(stored(6, suffix))
    assert orientation == 6
    exif = Image.Exif()
    exif.load(block)
    assert exif[ExifTags.Base.Orientation] == 1
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    assert (inner[ExifTags.Base.ExifImageWidth], inner[ExifTags.Base.ExifImageHeight]) == (32, 48)
    assert ExifTags.Base.StripOffsets not in exif


def test_a_block_without_anything_to_change_stays_byte_for_byte():
    image = stored(1)
    assert turned(image) == (image.info["exif"], 1, ())


def test_maker_notes_and_nested_directories_survive():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    inner = {ExifTags.Base.MakerNote: b"opaque \0 bytes", ExifTags.IFD.Interop: {1: "R98"}}
    exif.get_ifd(ExifTags.IFD.Exif).update(inner)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", exif=exif.tobytes())
    block, orientation, _ = turned(Image.open(stream))
    assert orientation == 8
    exif = Image.Exif()
    exif.load(block)
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == b"opaque \0 bytes"
    assert exif.get_ifd(ExifTags.IFD.Interop)[1] == "R98"


def test_no_or_broken_exif():
    assert turned(Image.new("RGB", (2, 2))) == (None, 1, ())
    stream = io.BytesIO()
    Image.new("RGB", (2, 2)).save(stream, "JPEG", exif=b"Exif\0\0no such thing")
    assert turned(Image.open(stream))[1] == 1
    assert turned(stored(77))[1] == 1


def test_a_block_that_cannot_be_written_again_is_left_out_but_still_turns_the_photograph():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Maker"
    block = bytearray(exif.tobytes())
    entry = block.index(b"\x01\x0f\x00\x02")
    block[entry + 1] = 0x45  # the tag before Make: text where Pillow expects something else
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", exif=bytes(block))
    assert turned(Image.open(stream)) == (None, 6, ("its EXIF is damaged and left out",))
