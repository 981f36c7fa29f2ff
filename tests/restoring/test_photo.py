from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from unblur.errors import UnblurError
from unblur.images.photo import Photo, read_photo
from unblur.restoring.photo import FORMATS, check_target, output_format, write_photo

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SUFFIXES = [".jpg", ".png", ".webp", ".tiff"]


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    return exif.tobytes()


def through(path: Path, target: Path) -> Photo:
    """Read and write unchanged."""
    photo = read_photo(path)
    write_photo(photo, target)
    return photo


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_viewer_sees_the_same_way_up(suffix, orientation, tmp_path, make_photo):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(make_photo(40, 64)).save(source, exif=exif_of(orientation), icc_profile=ICC)
    through(source, target)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.getexif()[0x0112] == 1
        assert after.getexif()[0x010F] == "Maker"
        assert after.info["icc_profile"] == ICC
        shown = np.asarray(ImageOps.exif_transpose(before)).astype(int)
        assert np.abs(np.asarray(after) - shown).mean() <= (0 if suffix in (".png", ".tiff") else 4)


@pytest.mark.parametrize("source_suffix", SUFFIXES)
@pytest.mark.parametrize("target_suffix", SUFFIXES)
def test_metadata_survives_every_change_of_format(source_suffix, target_suffix, tmp_path, make_photo):
    source, target = tmp_path / f"a{source_suffix}", tmp_path / f"b{target_suffix}"
    Image.fromarray(make_photo(40, 64)).save(source, exif=exif_of(8), icc_profile=ICC)
    through(source, target)
    with Image.open(target) as image:
        assert image.size == (40, 64)
        assert image.getexif()[0x010F] == "Maker"
        assert image.info["icc_profile"] == ICC


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_transparency_stays_untouched(suffix, tmp_path, make_photo):
    alpha = np.random.default_rng(0).integers(0, 256, (40, 64), dtype=np.uint8)
    source, target = tmp_path / "a.png", tmp_path / f"b{suffix}"
    Image.fromarray(np.dstack([make_photo(40, 64), alpha])).save(source)
    photo = through(source, target)
    np.testing.assert_array_equal(photo.alpha, alpha)
    np.testing.assert_array_equal(np.asarray(Image.open(target))[..., 3], alpha)


def test_transparency_cannot_go_into_jpeg_but_full_opacity_can(tmp_path, make_photo):
    rgb = make_photo(40, 64)
    Image.fromarray(np.dstack([rgb, np.full((40, 64), 200, np.uint8)])).save(tmp_path / "a.png")
    with pytest.raises(UnblurError, match="cannot hold the transparency"):
        through(tmp_path / "a.png", tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()
    Image.fromarray(np.dstack([rgb, np.full((40, 64), 255, np.uint8)])).save(tmp_path / "b.png")
    through(tmp_path / "b.png", tmp_path / "b.jpg")
    assert Image.open(tmp_path / "b.jpg").mode == "RGB"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff"])
def test_grey_stays_grey(suffix, tmp_path, make_photo):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(make_photo(40, 64)[..., 0]).save(source)
    photo = through(source, target)
    assert photo.grey
    assert photo.pixels.shape == (40, 64, 3)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.mode == "L"
        np.testing.assert_allclose(np.asarray(after), np.asarray(before).astype(int), atol=16)


@pytest.mark.parametrize(
    ("mode", "written"),
    [("1", "L"), ("LA", "LA"), ("P", "RGB"), ("PA", "RGBA"), ("L+", "LA"), ("RGB+", "RGBA"), ("P+", "RGBA")],
)
def test_rare_modes(mode, written, tmp_path, make_photo):
    image = Image.fromarray(make_photo(40, 64)).convert(mode.rstrip("+"))
    if mode == "PA":
        image = Image.fromarray(make_photo(40, 64)).convert("P")
        image.info["transparency"] = bytes(range(0, 250, 10))
    transparent = {"L+": 7, "RGB+": (1, 2, 3), "P+": 3}.get(mode)
    image.save(tmp_path / "a.png", **({} if transparent is None else {"transparency": transparent}))
    with Image.open(tmp_path / "a.png") as before:
        expected = np.asarray(before.convert(written))
    through(tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as after:
        assert after.mode == written
        np.testing.assert_array_equal(np.asarray(after), expected)


def test_cmyk_becomes_rgb_with_a_note(tmp_path, make_photo):
    Image.fromarray(make_photo(40, 64)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    photo = through(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert photo.notes == ("CMYK becomes RGB",)
    with Image.open(tmp_path / "b.jpg") as after:
        assert after.mode == "RGB"
        assert np.abs(np.asarray(after).astype(int) - make_photo(40, 64)).mean() < 6


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay(suffix, channels, tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (40, 64, channels), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), deep)
    photo = through(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert photo.pixels.dtype == np.uint16
    after = cv2.imread(str(tmp_path / f"b{suffix}"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(after.reshape(deep.shape), deep)


def test_sixteen_bits_into_jpeg_are_rounded_with_a_note(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 64, 3), 32900, np.uint16))
    photo = through(tmp_path / "a.png", tmp_path / "b.jpg")
    assert check_target(photo, tmp_path / "b.jpg") == ("16 bits become 8: JPEG holds no more",)
    assert np.asarray(Image.open(tmp_path / "b.jpg"))[0, 0, 0] == 128  # 32900 / 257 = 128.02


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_keeps_the_subsampling_of_its_source(subsampling, tmp_path, make_photo):
    from PIL import JpegImagePlugin

    Image.fromarray(make_photo(40, 64)).save(tmp_path / "a.jpg", subsampling=subsampling)
    through(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == subsampling


def test_of_several_frames_the_first_is_kept_with_a_note(tmp_path, make_photo):
    frames = [Image.fromarray(make_photo(40, 64, seed)) for seed in (0, 1)]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    photo = read_photo(tmp_path / "a.tiff")
    np.testing.assert_array_equal(photo.pixels, make_photo(40, 64, 0))
    assert photo.notes == ("has 2 frames, only the first is kept",)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_truncated_png_is_told_in_one_line(depth, tmp_path):
    noise = np.random.default_rng(0).integers(0, np.iinfo(depth).max, (99, 99, 3)).astype(depth)
    whole = cv2.imencode(".png", noise)[1].tobytes()
    path = tmp_path / "cut.png"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnblurError, match=r"cut\.png: truncated or damaged") as caught:
        read_photo(path)
    assert "\n" not in str(caught.value)


def test_pixels_without_a_range_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(UnblurError, match="32 bits"):
        read_photo(tmp_path / "a.tiff")


def test_formats_and_their_limits(tmp_path):
    assert output_format(Path("X.JPeG")) == "JPEG"
    with pytest.raises(UnblurError, match=r"\.cr3 is no format"):
        output_format(Path("x.cr3"))
    long = Photo(np.zeros((1, 17000, 3), np.uint8))
    with pytest.raises(UnblurError, match="WEBP holds at most 16383"):
        check_target(long, tmp_path / "a.webp")
    write_photo(long, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_what_would_write_heic_is_named_where_it_is_missing(monkeypatch):
    for suffix in (".heic", ".heif", ".hif"):
        monkeypatch.delitem(FORMATS, suffix, raising=False)
    with pytest.raises(UnblurError, match=r"x.HEIC: HEIC is written with pillow-heif.*install 'unblur\[heic\]'"):
        output_format(Path("x.HEIC"))
