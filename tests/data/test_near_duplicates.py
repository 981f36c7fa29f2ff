"""The same photograph is recognised after what editors and cameras do to it; other photographs are not."""

import tracemalloc

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


@pytest.mark.parametrize("chunk", [1, 100, 1 << 22])
def test_of_each_picture_the_closest_is_found_in_the_order_of_distance(monkeypatch, chunk):
    monkeypatch.setattr("unblur.data.near_duplicates._CHUNK", chunk)
    rng = np.random.default_rng(0)
    greys = list(rng.uniform(0, 255, (2, 32, 32)).astype(np.float32))
    prints = [Fingerprint(int(code), greys[index % 2]) for index, code in enumerate(rng.integers(0, 1 << 8, 90))]
    groups = ["a", "b", "c"] * 30
    expected = {}
    for left, right in ("ab", "ac", "bc"):
        pairs = [
            (first, second, (one.bits ^ two.bits).bit_count())
            for first, one in enumerate(prints)
            for second, two in enumerate(prints)
            if (groups[first], groups[second]) == (left, right) and one.grey is two.grey
        ]
        for pair in sorted(pairs, key=lambda pair: pair[2]):
            if pair[2] <= 3:
                expected.setdefault(pair[0], pair)
    assert len({bits for _, _, bits in expected.values()}) > 2
    assert near_duplicates(groups, prints, 3, 0.95) == list(expected.values())


def test_pictures_that_are_all_alike_take_little_memory(make_photo):
    print_ = fingerprint(make_photo(seed=1))
    tracemalloc.start()
    found = near_duplicates(["train"] * 300 + ["val"] * 300, [print_] * 600, 6, 0.95)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [(index, 300, 0) for index in range(300)]
    assert peak < 3e6  # 90,000 pairs as tuples are 9 MB
