"""Quality of JPEG files, against what libjpeg was told to save them with."""

import numpy as np
import pytest
from PIL import Image

from unblur.drift.jpeg import jpeg_quality, nearest_quality


@pytest.mark.property
@pytest.mark.parametrize("quality", range(1, 101))
def test_the_quality_that_a_file_was_saved_with(tmp_path, quality):
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save(path, quality=quality)
    assert jpeg_quality(path) == quality


def test_a_table_of_its_own_gets_the_nearest_quality(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(path, quality=80)
    with Image.open(path) as image:
        table = list(image.quantization[0])
    table[63] += 3
    assert nearest_quality(table) == 80
    assert nearest_quality([1] * 64) == 100
    assert nearest_quality([255] * 64) == 1


def test_other_formats_and_damaged_files_have_none(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photograph")
    assert jpeg_quality(tmp_path / "photo.png") is None
    assert jpeg_quality(tmp_path / "photo.jpg") is None
