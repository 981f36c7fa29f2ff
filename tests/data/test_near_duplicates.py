"""The same photograph is recognised after what editors and cameras do to it; other photographs are not."""

import cv2
import numpy as np
import pytest

from unblur.data.near_duplicates import Fingerprint, fingerprint, near_duplicates

CHANGES = {
    "smaller": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "jpeg": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1),
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
    "a frame later": lambda image: np.roll(image, 1, axis=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_in_another_split_is_found(change, make_photo):
    photos = [make_photo(seed=seed) for seed in range(6)]
    prints = [fingerprint(photo) for photo in [*photos, CHANGES[change](photos[2])]]
    found = near_duplicates(["train"] * 6 + ["test"], prints, 6, 0.95)
    assert [(first, second) for first, second, _ in found] == [(2, 6)]
    assert near_duplicates(["train"] * 7, prints, 6, 0.95) == []  # within a split it leaks nothing


@pytest.mark.property
def test_different_photographs_are_no_duplicates(make_photo):
    prints = [fingerprint(make_photo(seed=seed)) for seed in range(60)]
    assert near_duplicates(["train", "test", "val"] * 20, prints, 6, 0.95) == []


def test_flat_pictures_with_like_hashes_but_other_content_are_told_apart(make_photo):
    print_ = fingerprint(make_photo(seed=1))
    other = Fingerprint(print_.bits, fingerprint(make_photo(seed=2)).grey)
    assert near_duplicates(["train", "test"], [print_, other], 6, 0.95) == []
    assert near_duplicates(["train", "test"], [print_, print_], 6, 0.95) == [(0, 1, 0)]


def test_thousands_of_hashes_are_compared_in_parts(monkeypatch):
    monkeypatch.setattr("unblur.data.near_duplicates._CHUNK", 64)
    rng = np.random.default_rng(0)
    greys = rng.uniform(0, 255, (200, 32, 32)).astype(np.float32)
    prints = [Fingerprint(int(code), grey) for code, grey in zip(rng.integers(0, 2**63, 200), greys, strict=True)]
    prints[150] = prints[20]
    assert near_duplicates(["a"] * 100 + ["b"] * 100, prints, 6, 0.95) == [(20, 150, 0)]
