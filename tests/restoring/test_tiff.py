import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from unblur.images.photo import Photo
from unblur.restoring import tiff

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def write_tiff(path, channels, exif, icc, dpi):
    with path.open("wb") as stream:
        tiff.write_tiff(stream, channels, Photo(channels, exif=exif, icc=icc, dpi=dpi))


@pytest.mark.parametrize("shape", [(70, 50), (70, 50, 3), (65, 33, 4), (1, 1, 3), (200, 3)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_every_value_comes_back(shape, depth, tmp_path):
    channels = np.random.default_rng(0).integers(0, np.iinfo(depth).max + 1, shape).astype(depth)
    write_tiff(tmp_path / "a.tiff", channels, None, None, None)
    if depth == np.uint8:
        found = np.asarray(Image.open(tmp_path / "a.tiff"))
    else:  # Pillow reads 16-bit colour as 8 bits
        found = cv2.imread(str(tmp_path / "a.tiff"), cv2.IMREAD_UNCHANGED)
        found = found if found.ndim == 2 else found[..., [2, 1, 0, 3][: shape[2]]]
    assert found.dtype == depth
    np.testing.assert_array_equal(found, channels)


def test_grey_with_alpha(tmp_path):
    shallow = np.random.default_rng(0).integers(0, 256, (40, 30, 2), dtype=np.uint8)
    write_tiff(tmp_path / "a.tiff", shallow, None, None, None)
    with Image.open(tmp_path / "a.tiff") as image:
        assert image.mode == "LA"
        np.testing.assert_array_equal(np.asarray(image), shallow)
    deep = shallow.astype(np.uint16) * 257
    write_tiff(tmp_path / "b.tiff", deep, None, None, None)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tiff"), deep)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_another_reader_sees_the_metadata(depth, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 1
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    write_tiff(tmp_path / "a.tiff", np.zeros((70, 50, 3), depth), exif.tobytes(), ICC, (300.0, 240.0))
    with Image.open(tmp_path / "a.tiff") as image:
        found = image.getexif()
        assert found[0x010F] == "Maker"
        assert found.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
        assert found.get_ifd(0x8825)[1] == "N"
        assert image.info["icc_profile"] == ICC
        assert image.info["dpi"] == (300, 240)
