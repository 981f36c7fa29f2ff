"""The model that comes with unblur takes blur away and leaves what is sharp."""

import cv2
import numpy as np
import pytest
from skimage import data

from unblur.models.catalogue import catalogue, find
from unblur.models.loading import load_by_name
from unblur.restoring.answer import restore_pixels
from unblur.safety.hashing import sha256_file

MOST_BYTES = 12_000_000


def psnr(image, truth):
    return -10 * np.log10(np.mean((image.astype(float) - truth)[16:-16, 16:-16] ** 2) / 255**2)


def moved(image, length):
    """The mean of what a camera sees that moves along a diagonal over `length` pixels."""
    size = image.shape[1], image.shape[0]
    steps = np.linspace(-0.35, 0.35, 2 * length + 1) * length
    seen = [
        cv2.warpAffine(image.astype(np.float32), np.float32([[1, 0, step], [0, 1, step]]), size, borderMode=2)
        for step in steps
    ]
    return np.rint(np.mean(seen, axis=0)).astype(np.uint8)


@pytest.fixture(scope="module")
def sharp():
    return data.astronaut()


@pytest.mark.parametrize(
    ("name", "length", "least"), [("box", 12, 2.0), ("box_medium", 24, 1.0), ("box_fast", 40, 0.5)]
)
def test_motion_blur_goes(sharp, name, length, least):
    blurred = moved(sharp, length)
    restored = restore_pixels(load_by_name(name, 1), blurred).pixels
    assert psnr(restored, sharp) > psnr(blurred, sharp) + least


@pytest.mark.parametrize("name", ["box", "box_medium", "box_fast"])
def test_a_sharp_photograph_stays(sharp, name):
    assert psnr(restore_pixels(load_by_name(name, 1), sharp).pixels, sharp) > 42


def test_the_files_are_those_of_the_entries_and_small():
    for model in (each for each in catalogue() if each.in_wheel):
        assert not model.planned
        assert sha256_file(model.path) == model.sha256
        assert model.path.stat().st_size == model.bytes < MOST_BYTES
        card = (model.path.parent / "card.md").read_text(encoding="utf-8")
        assert find("maxim-gopro-1").sha256 in card  # its parent
        assert "Apache-2.0" in card
        assert "CC BY 4.0" in card
