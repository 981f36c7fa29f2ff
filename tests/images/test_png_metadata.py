"""Raw profiles: what ImageMagick and ExifTool write of EXIF, XMP and IPTC into a PNG's texts."""

import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from unblur.images.photo import read_photo
from unblur.images.png_metadata import raw_profile, read_metadata, write_raw_profile
from unblur.restoring.photo import check_target, write_photo

IPTC = b"\x1c\x02\x05\0\x05Title\x1c\x02\x50\0\x04Name"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" rating="5"/>'
RAW = b"Raw profile type "


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def compressed(keyword, text):
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(text))


def profile(kind, content, name=b"", length=None):
    """A raw profile's text, in the form of ImageMagick's source (coders/png.c): 36 bytes a line."""
    digits = content.hex().encode()
    lines = b"\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    text = b"\n%s\n%8d\n%s\n" % (name or kind, len(content) if length is None else length, lines)
    return compressed(RAW + kind, text)


def resource(code, content, name=b""):
    """One of Photoshop's (Adobe's file format specification): name and content are filled up to an even length."""
    named = bytes((len(name),)) + name + b"\0" * (1 - len(name) % 2)
    filled = content + b"\0" * (len(content) % 2)
    return b"8BIM" + struct.pack(">H", code) + named + struct.pack(">I", len(content)) + filled


def exif_of(maker, orientation=1):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = maker
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


@pytest.fixture
def with_chunks(tmp_path, make_photo):
    """Write a PNG of 64 x 40 pixels with these chunks before the pixels."""

    def write(*chunks, name="a.png"):
        Image.fromarray(make_photo(40, 64)).save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:33] + b"".join(chunks) + content[33:])
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    "chunk_of_iptc",
    [
        profile(b"iptc", IPTC),
        profile(b"iptc", IPTC, b"IPTC profile"),
        profile(b"iptc", resource(0x0404, IPTC)),
        profile(b"8bim", resource(0x0404, IPTC)),
        profile(b"8bim", b"Photoshop 3.0\0" + resource(0x0404, IPTC, b"odd") + b"\0\0"),
        chunk(b"tEXt", RAW + b"iptc\0\niptc\n%8d\n%s" % (len(IPTC), IPTC.hex().upper().encode())),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
def test_iptc_of_a_png_is_kept_in_every_format_that_holds_it(chunk_of_iptc, suffix, with_chunks, tmp_path):
    photo = read_photo(with_chunks(chunk_of_iptc))
    assert (photo.iptc, photo.texts, photo.notes) == (IPTC, (), ())
    target = tmp_path / f"b{suffix}"
    assert check_target(photo, target) == ()
    write_photo(photo, target)
    assert read_photo(target).iptc == IPTC
    if suffix == ".jpg":  # Pillow as the second reader
        with JpegImageFile(target) as image:
            assert image.info["photoshop"][0x0404] == IPTC
    if suffix == ".png":
        with Image.open(target) as image:
            assert bytes.fromhex("".join(image.text["Raw profile type iptc"].split()[2:])) == IPTC


def test_photoshops_other_resources_stay_in_a_png_and_are_told_elsewhere(with_chunks, tmp_path):
    block = resource(0x03ED, bytes(16)) + resource(0x0404, IPTC)
    photo = read_photo(with_chunks(profile(b"8bim", block)))
    assert photo.iptc == IPTC
    write_photo(photo, tmp_path / "b.png")
    again = read_photo(tmp_path / "b.png")
    assert (again.iptc, again.notes) == (IPTC, ())
    assert raw_profile(dict(again.texts)["Raw profile type 8bim"]) == block
    assert check_target(photo, tmp_path / "b.jpg") == (
        "its text is left out but for a comment: JPEG has no place for it",
    )


@pytest.mark.parametrize("kind", [b"exif", b"APP1"])
def test_exif_as_a_raw_profile_turns_the_photograph_and_is_kept_upright(kind, with_chunks, tmp_path):
    photo = read_photo(with_chunks(profile(kind, exif_of("Maker", 6))))
    assert photo.pixels.shape == (64, 40, 3)
    write_photo(photo, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert (image.getexif()[ExifTags.Base.Make], image.getexif()[ExifTags.Base.Orientation]) == ("Maker", 1)
        assert image.text == {}


@pytest.mark.parametrize(
    "chunk_of_xmp", [profile(b"xmp", XMP), profile(b"APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP)]
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_xmp_as_a_raw_profile(chunk_of_xmp, suffix, with_chunks, tmp_path):
    photo = read_photo(with_chunks(chunk_of_xmp))
    write_photo(photo, tmp_path / f"b{suffix}")
    assert read_photo(tmp_path / f"b{suffix}").xmp == XMP


def test_blocks_of_one_kind_count_once_unless_they_differ(with_chunks):
    exif = exif_of("Maker")
    same = [chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")), profile(b"exif", exif), profile(b"iptc", IPTC + b"\0")]
    assert read_photo(with_chunks(*same, profile(b"8bim", resource(0x0404, IPTC)))).notes == ()
    photo = read_photo(with_chunks(*same, profile(b"APP1", exif_of("Other"))))
    assert photo.notes == ("has several EXIF blocks that differ, only the first is kept",)
    assert b"Maker" in photo.exif


BOMB = zlib.compress(bytes(64 << 20))


@pytest.mark.parametrize(
    ("damaged", "what"),
    [
        (profile(b"iptc", IPTC, length=3), "IPTC"),
        (compressed(RAW + b"iptc", b"\niptc\n  4\nzzzz0000\n"), "IPTC"),
        (compressed(RAW + b"iptc", b"\niptc\n  4\n000\n"), "IPTC"),
        (compressed(RAW + b"iptc", b"1c02"), "IPTC"),
        (compressed(RAW + b"iptc", b"\niptc\n" + b"9" * 5000 + b"\n00\n"), "IPTC"),
        (compressed(RAW + b"iptc", b" " * 1_000_000), "IPTC"),
        (profile(b"8bim", resource(0x0404, IPTC)[:-3]), "IPTC"),
        (profile(b"8bim", b"8BIM"), "IPTC"),
        (profile(b"xmp", XMP, length=1 << 40), "XMP"),
        (profile(b"exif", exif_of("Maker"), length=1), "EXIF"),
        (profile(b"exif", b"no EXIF"), "EXIF"),
        (profile(b"APP1", b"http://ns.adobe.com/other/\0"), "EXIF or XMP"),
        (profile(b"iptc", IPTC)[:-1] + b"\0", "IPTC"),  # the chunk's own checksum
        (chunk(b"zTXt", RAW + b"iptc\0\0" + zlib.compress(bytes(100))[:-4]), "IPTC"),
        (chunk(b"zTXt", RAW + b"iptc\0\7" + zlib.compress(b"x")), "IPTC"),
        (chunk(b"zTXt", RAW + b"iptc\0\0" + BOMB), "IPTC"),
        (chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB), "XMP"),
        (chunk(b"iTXt", b"Title\0\0\0\0\0\xff"), "text 'Title'"),
        (chunk(b"tEXt", b"\x1b[31mred\0text"), "text '?[31mred'"),
        (chunk(b"tEXt", b"k" * 80 + b"\0text"), f"text '{'k' * 40}'"),
        (chunk(b"tEXt", b"Title\0" + bytes(17 << 20)), "text 'Title'"),
        (chunk(b"iCCP", b"icc\0\0" + BOMB), "colour profile"),
    ],
)
def test_damage_is_one_note_and_the_photograph_is_restored_all_the_same(damaged, what, with_chunks, tmp_path, capfd):
    photo = read_photo(with_chunks(damaged))
    assert photo.notes == (f"damaged or too long, and left out: {what}",)
    np.testing.assert_array_equal(photo.pixels, read_photo(with_chunks(name="plain.png")).pixels)
    for suffix in (".png", ".jpg", ".tiff", ".webp"):
        check_target(photo, tmp_path / f"b{suffix}")
        write_photo(photo, tmp_path / f"b{suffix}")
    assert capfd.readouterr().err == ""


def test_many_damaged_texts_are_one_note_too(with_chunks):
    bombs = [compressed(b"T%d" % number, bytes(1 << 20)) for number in range(64)]
    notes = read_metadata(with_chunks(*bombs)).notes
    assert notes == ("damaged or too long, and left out: text 'T16', text 'T17', text 'T18' and 45 more",)


@pytest.mark.parametrize("length", [0, 1, 35, 36, 37, 1000])
def test_raw_profiles_come_back(length):
    content = np.random.default_rng(0).bytes(length)
    assert raw_profile(write_raw_profile("iptc", content)) == content
