"""What the guard lets through bit for bit, and what it puts back, on answers spoilt by hand."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from unblur.runtimes.guard import describe, find_broken, mend, mend_batch

PLACE = np.s_[48:80, 64:96]


@pytest.fixture
def photo(make_photo):
    return make_photo(150, 210).astype(np.float32) / 255


def bytes_of(image):
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def cast(place):
    place[..., 0] += 0.2


def brighter(place):
    place += 0.3


def ringing(place):
    place += 0.5 * np.sin(np.arange(place.shape[1]))[:, None]


def mosaic(place):
    place += 0.3 * np.random.default_rng(0).choice([-1, 1], place.shape)


def not_finite(place):
    place[5:9, 5:9] = np.inf
    place[4:29:8] = np.nan


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("shift", [0, 1])
def test_a_sound_answer_is_returned_as_it_is(make_photo, sigma, shift):
    for seed in range(4):
        truth = make_photo(150, 210, seed).astype(np.float32) / 255
        blurred = cv2.GaussianBlur(truth, (0, 0), sigma) if sigma else truth
        answer = np.pad(truth, ((shift, 0), (shift, 0), (0, 0)), "edge")[: len(truth), : truth.shape[1]]
        for before, after in ((blurred, answer), (truth, blurred)):
            mended, places = mend(before, after)
            assert places == []
            assert mended is after


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_count_as_the_floats_that_they_stand_for(dtype):
    before = np.full((150, 210, 3), 0.4, np.float32)
    after = before.copy()
    cast(after[PLACE])
    of_integers, of_floats = mend(np.rint(before * np.iinfo(dtype).max).astype(dtype), after), mend(before, after)
    assert of_integers[1] == of_floats[1] != []
    np.testing.assert_allclose(of_integers[0], of_floats[0], atol=1e-5)


@pytest.mark.parametrize(
    "pattern", [np.indices((64, 80)).sum(0) % 2, np.indices((64, 80))[1] % 2, np.indices((64, 80))[0] % 3 == 0]
)
def test_what_the_input_has_already_is_no_fault(pattern):
    image = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)[pattern.astype(int)]
    assert find_broken(image, image) == []


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (cast, "colour cast"),
        (mosaic, "mosaic"),
        (not_finite, "not finite"),
        (ringing, "ringing"),
        (brighter, "brightness"),
    ],
)
def test_what_breaks_a_bound_goes_back_and_the_rest_stays(spoil, kind):
    before = np.full((150, 210, 3), 0.4, np.float32)
    after = before + np.float32(0.004)
    spoil(after[PLACE])
    mended, (place,) = mend(before, after)
    assert kind in place.kinds
    assert abs(place.left - 64) <= 32
    assert abs(place.top - 48) <= 32
    np.testing.assert_allclose(mended[PLACE], before[PLACE], atol=1e-6)
    np.testing.assert_array_equal(mended[:, 160:], after[:, 160:])  # the answer, where nothing broke
    assert find_broken(bytes_of(before), bytes_of(mended)) == []
    steps = np.abs(np.diff(mended[64, :, 0]))
    assert steps.max() < 0.001  # no seam


def test_light_that_is_added_everywhere_is_noticed(photo):
    dark = photo / 2
    mended, places = mend(dark, dark + 0.15)
    assert {kind for place in places for kind in place.kinds} >= {"brightness"}
    assert find_broken(bytes_of(dark), bytes_of(mended)) == []


def test_nothing_broken_is_left_whatever_the_answer():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before = cv2.resize(rng.random((6, 8, 3)).astype(np.float32), (int(rng.integers(1, 90)), 70))
        mended, _ = mend(before, rng.normal(0.5, rng.uniform(0, 1), before.shape).astype(np.float32))
        assert np.isfinite(mended).all()
        assert find_broken(bytes_of(before), bytes_of(mended)) == []


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (9, 7)])
def test_small_images_are_guarded(size):
    before = np.full((*size, 3), 0.5, np.float32)
    mended, (place,) = mend(before, before + np.array([0.3, 0, 0], np.float32))
    np.testing.assert_allclose(mended, before, atol=1e-6)
    assert (place.height, place.width) == size


def test_of_a_batch_only_the_broken_image_changes(photo):
    before = np.stack([photo.transpose(2, 0, 1)] * 2)
    after = before.copy()
    after[1, 0] += 0.4
    mended, places = mend_batch(before, after)
    assert places
    np.testing.assert_array_equal(mended[0], after[0])
    assert np.abs(mended[1] - before[1]).max() < 0.1
    assert mend_batch(before, before)[0] is before


def test_the_line_names_count_kind_and_place():
    before = np.full((100, 300, 3), 0.5, np.float32)
    after = before.copy()
    for left in range(0, 300, 60):
        after[40:48, left : left + 8] = np.nan
    line = describe(mend(before, after)[1])
    assert line.startswith("guard: 5 places put back to the input: not finite at 0,40 (8 x 8); ")
    assert line.endswith("; 2 more")


def test_it_needs_no_torch():
    modules = "unblur.restoring.flicker, unblur.restoring.strength, unblur.runtimes.guard"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
