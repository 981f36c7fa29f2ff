"""AVIF and HEIC: turned, deep, with profiles and notes, and what is said where HEIC cannot be read."""

import importlib

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms

from unblur.errors import UnblurError
from unblur.images import heif
from unblur.images.exif import upright
from unblur.images.header import check_image_header
from unblur.images.photo import Photo, read_photo
from unblur.restoring.photo import check_target, write_photo

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def smooth(depth=np.uint8):
    """A picture that no codec finds hard, (48, 64, 3)."""
    y, x = np.mgrid[:48, :64] / 64
    return np.rint(np.stack([x, y, (x + y) / 2], -1) * np.iinfo(depth).max * 0.95).astype(depth)


def exif_of(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = orientation, "Maker"
    return exif.tobytes()


def told_by(block):
    exif = Image.Exif()
    exif.load(block)
    return exif.get(ExifTags.Base.Orientation, 1), exif[ExifTags.Base.Make]


def write_turned(path, stored, orientation):
    if path.suffix == ".avif":
        options = {"quality": 100, "subsampling": "4:4:4"}
        Image.fromarray(stored).save(path, exif=exif_of(orientation), **options)
    else:
        whole = pillow_heif.from_bytes("RGB", stored.shape[1::-1], stored.tobytes())
        whole[0].info["exif"] = exif_of(orientation)
        whole.save(path, quality=100, chroma=444)


@pytest.mark.parametrize("ending", ["avif", "heic"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_upright_once(tmp_path, ending, orientation):
    path, wanted = tmp_path / f"a.{ending}", upright(smooth(), orientation)
    write_turned(path, smooth(), orientation)
    header = check_image_header(path)
    assert (header.height, header.width) == wanted.shape[:2]
    photo = read_photo(path)
    assert photo.pixels.shape == wanted.shape
    assert np.abs(photo.pixels.astype(int) - wanted).max() <= 4
    assert told_by(photo.exif) == (1, "Maker")


@pytest.mark.parametrize("ending", ["avif", "heic"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [False, True])
def test_what_is_written_is_read_again(tmp_path, ending, depth, alpha):
    path, pixels = tmp_path / f"a.{ending}", smooth(depth)
    photo = Photo(pixels, alpha=pixels[..., 0] if alpha else None, exif=exif_of(1), icc=ICC, xmp=b"<x:xmpmeta/>")
    bits = 8 if depth == np.uint8 else {"avif": 8, "heic": 10}[ending]
    told = () if depth == np.uint8 else (f"16 bits become {bits}: ",)
    notes = check_target(photo, path)
    assert len(notes) == len(told)
    assert all(note.startswith(start) for note, start in zip(notes, told, strict=True))
    write_photo(photo, path)
    assert check_image_header(path).bits == bits
    found = read_photo(path)
    assert (told_by(found.exif), found.icc, found.xmp, found.notes) == ((1, "Maker"), ICC, b"<x:xmpmeta/>", ())
    for one, other in ((found.pixels, photo.pixels), (found.alpha, photo.alpha)):
        assert (one is None) == (other is None)
        if other is not None:
            apart = one / np.iinfo(one.dtype).max - other / np.iinfo(depth).max
            assert np.abs(apart).max() < 5 / 255
    assert not check_target(found, path)  # as many bits as it has


@pytest.mark.parametrize(("bits", "written"), [(10, 10), (12, 12), (14, 10)])
def test_heic_keeps_ten_and_twelve_bits(tmp_path, bits, written):
    photo = Photo(smooth(np.uint16), bits=bits)
    told = [] if bits == written else [f"{bits} bits become {written}: HEIF is written with no more"]
    assert list(check_target(photo, tmp_path / "a.heic")) == told
    write_photo(photo, tmp_path / "a.heic")
    found = read_photo(tmp_path / "a.heic")
    assert found.bits == written
    assert np.abs(found.pixels.astype(int) - photo.pixels).max() < 5 * 257


@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 16)])
def test_how_values_become_light_is_kept_in_png_and_noted_elsewhere(tmp_path, primaries, transfer):
    path = tmp_path / "a.avif"
    path.write_bytes(
        imagecodecs.avif_encode(
            smooth(np.uint16) >> 6, level=90, bitspersample=10, primaries=primaries, transfer=transfer, matrix=1
        )
    )
    photo = read_photo(path)
    assert photo.colour == ((b"cICP", bytes((primaries, transfer, 0, 1))),)
    assert not check_target(photo, tmp_path / "a.png")
    write_photo(photo, tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").colour == photo.colour
    for name in ("a.jpg", "b.avif"):
        assert any("how its values become light" in note for note in check_target(photo, tmp_path / name))


def test_plain_srgb_needs_no_note(tmp_path):
    for name in ("a.avif", "a.heic"):
        write_photo(Photo(smooth()), tmp_path / name)
        assert read_photo(tmp_path / name).colour == ()


def test_other_files_with_the_same_beginning_are_told_apart(tmp_path):
    for name, start in {
        "video.mp4": b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        "cut": b"\0\0\0\x18ftyp",
        "size": b"\0\0\0\x04ftypheic",
    }.items():
        (tmp_path / name).write_bytes(start)
        assert heif.kind_of(tmp_path / name) is None
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert heif.kind_of(tmp_path / "a.heic") == "HEIF"


@pytest.mark.parametrize("ending", ["avif", "heic"])
def test_damage_is_one_line(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_turned(path, smooth(), 1)
    whole = path.read_bytes()
    for content in (whole[:40], whole[: len(whole) // 2], whole[:-20], whole[:200] + b"\xff" * 60 + whole[260:]):
        path.write_bytes(content)
        line = complaint(path)
        assert line is None or (str(path) in line and "\n" not in line)  # None: the damage is where nobody looks
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnblurError, match=r"damaged|not a picture"):
        read_photo(path)


def complaint(path):
    try:
        read_photo(path)
    except UnblurError as error:
        return str(error)
    return None


def test_without_the_package_a_heic_is_refused_by_name(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    write_turned(path, smooth(), 1)
    monkeypatch.setattr(heif, "HAS_HEIC", False)
    with pytest.raises(UnblurError, match=r"a\.heic: HEIC is read with pillow-heif.*install 'unblur\[heic\]'"):
        read_photo(path)
    with monkeypatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: None)
        assert importlib.reload(heif).SUFFIXES == {".avif": "AVIF"}
    assert ".heic" in importlib.reload(heif).SUFFIXES
