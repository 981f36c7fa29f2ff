"""Each figure against a picture whose value is known by a formula."""

import cv2
import numpy as np
import pytest

from unblur.drift.statistics import MOST_TILES, STATISTICS, TILE, measure, places


def ramp(height=300, width=400):
    """A picture without edges: grey from 60 to 190."""
    return np.broadcast_to(np.linspace(60, 190, width)[None, :, None], (height, width, 3))


def as_bytes(values):
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def step(sigma, height=256, width=256):
    """A vertical edge from 40 to 200 behind a Gaussian of `sigma` pixels, grey."""
    image = np.where(np.arange(width) < width // 2, 40.0, 200.0)
    line = cv2.GaussianBlur(image[None], (0, 0), sigma) if sigma else image[None]
    return as_bytes(np.broadcast_to(line[..., None], (height, width, 3)))


@pytest.mark.parametrize("sigma", [1, 2, 5, 10, 20])
def test_noise_of_a_known_standard_deviation(sigma):
    noise = np.random.default_rng(0).normal(0, sigma, (300, 400, 1))
    assert measure(as_bytes(ramp() + noise))["noise"] == pytest.approx(sigma, rel=0.05)


def test_noise_of_each_channel_alone_is_that_of_luma():
    """Luma is 0.299 R + 0.587 G + 0.114 B: independent noise of 8 becomes 8 * sqrt(0.299^2 + 0.587^2 + 0.114^2)."""
    noise = np.random.default_rng(0).normal(0, 8, (300, 400, 3))
    expected = 8 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    assert measure(as_bytes(ramp() + noise))["noise"] == pytest.approx(expected, rel=0.05)


def test_noise_is_told_where_half_of_the_picture_is_texture():
    rng = np.random.default_rng(0)
    image = ramp(256, 512) + rng.normal(0, 3, (256, 512, 1))
    image[:, :256] += rng.normal(0, 40, (256, 256, 1))
    assert measure(as_bytes(image))["noise"] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0])
def test_blur_of_an_edge_behind_a_gaussian(sigma):
    """Its variance adds to that of the measure's own Gaussian, of one pixel; the grid of pixels adds a little."""
    assert measure(step(sigma))["blur"] == pytest.approx(np.sqrt(1 + sigma**2), rel=0.12)


@pytest.mark.parametrize("noise", [0, 4])
def test_blur_grows_with_the_gaussian_also_under_noise(make_photo, noise):
    photo = cv2.GaussianBlur(make_photo(256, 320), (0, 0), 0.7).astype(np.float32)
    grain = np.random.default_rng(0).normal(0, noise, photo.shape[:2])[..., None] if noise else 0
    found = [measure(as_bytes(cv2.GaussianBlur(photo, (0, 0), sigma) + grain))["blur"] for sigma in (0.5, 1, 2, 4)]
    assert found == sorted(found)
    assert found[-1] > 2 * found[0]


def test_noise_hardly_changes_the_blur(make_photo):
    photo = cv2.GaussianBlur(make_photo(256, 320), (0, 0), 2.0).astype(np.float32)
    grain = np.random.default_rng(0).normal(0, 4, photo.shape[:2])[..., None]
    assert measure(as_bytes(photo + grain))["blur"] == pytest.approx(measure(as_bytes(photo))["blur"], rel=0.15)


def test_motion_is_blur_in_its_direction_alone():
    sharp, moved = np.ones((3, 3)) / 9, np.zeros((9, 9))
    moved[4] = 1 / 9
    fields = np.random.default_rng(0).integers(0, 2, (16, 16)) * 150
    board = as_bytes(np.repeat(np.kron(fields, np.ones((16, 16)))[..., None], 3, axis=2))
    assert measure(cv2.filter2D(board, -1, moved))["blur"] > 1.3 * measure(cv2.filter2D(board, -1, sharp))["blur"]


def test_colours_of_a_plain_picture():
    """Y = 0.299 R + 0.587 G + 0.114 B, Cb = 0.564 (B - Y), Cr = 0.713 (R - Y) (ITU-R BT.601)."""
    found = measure(np.full((40, 50, 3), (200, 100, 50), np.uint8))
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert found["brightness"] == pytest.approx(luma, abs=0.01)
    assert found["contrast"] == pytest.approx(0, abs=0.01)
    assert found["cast_blue"] == pytest.approx(0.564 * (50 - luma), abs=0.01)
    assert found["cast_red"] == pytest.approx(0.713 * (200 - luma), abs=0.01)
    assert found["megapixels"] == 0.002
    assert found["blur"] is None
    assert found["noise"] == 0


def test_grey_has_no_cast_at_all(make_photo):
    grey = np.repeat(make_photo()[..., :1], 3, axis=2)
    assert measure(grey)["cast_blue"] == measure(grey)["cast_red"] == 0


def test_contrast_is_the_standard_deviation(make_photo):
    photo = make_photo(200, 300)
    luma = photo @ np.array([0.299, 0.587, 0.114])
    assert measure(photo)["contrast"] == pytest.approx(luma.std(), rel=1e-3)


def test_sixteen_bits_have_the_figures_of_eight(make_photo):
    photo = make_photo()
    assert measure(photo.astype(np.uint16) * 257) == measure(photo)


def test_change_and_gain(make_photo):
    """An answer that is brighter by 10 changes by 10 and gains nothing; twice the contrast is 6.02 dB."""
    photo = make_photo() // 3 + 60
    assert measure(photo, photo)["change"] == 0
    assert measure(photo, photo)["gain"] == 0
    assert measure(photo, photo + 10)["change"] == 10
    assert measure(photo, photo + 10)["gain"] == pytest.approx(0, abs=0.01)
    assert measure(photo, 2 * photo - 60)["gain"] == pytest.approx(20 * np.log10(2), abs=0.01)
    assert measure(np.full_like(photo, 9), photo)["gain"] is None


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 5000), (5000, 3), (3000, 20_000)])
def test_any_size(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = measure(image, image)
    assert found["brightness"] == pytest.approx(127, abs=130 / np.sqrt(min(image.size / 3, 1000)))
    assert set(found) <= {each.name for each in STATISTICS}
    where = places(*shape)
    assert len(where) <= MOST_TILES
    seen = np.zeros(shape, np.uint8)
    for place in where:
        seen[place] = 1
    assert seen.sum() == min(shape[0] * shape[1], MOST_TILES * TILE**2)


def test_a_large_picture_is_looked_at_everywhere():
    image = np.full((2000, 3000, 3), 50, np.uint8)
    image[:, 1500:] = 150
    assert measure(image)["brightness"] == pytest.approx(100, abs=0.2)
    assert measure(image)["contrast"] == pytest.approx(50, abs=0.2)
