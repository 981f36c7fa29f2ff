"""The promise holds on pairs of the same kind, the bound is larger where errors are, and scenes set its width."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import stats

from unblur.errors import UnblurError
from unblur.explaining.blur_map import from_correction
from unblur.explaining.conformal import (
    Calibration,
    calibrate,
    coverage,
    error_of,
    interval_by_scene,
    signs_of,
    traits_of,
)
from unblur.explaining.source import CALIBRATION, find_calibration
from unblur.records.files import write_json

NOTHING = np.zeros(3)


def draw(rng):
    signs = rng.gamma(2.0, 0.1, (2, 120, 120)).astype(np.float32)
    return signs, (signs[0] * np.abs(rng.normal(0, 0.3, (120, 120)))).astype(np.float32)


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_coverage_is_what_was_asked_for(level):
    rng = np.random.default_rng(0)
    scenes = [f"scene {i // 3}" for i in range(12)]
    pairs = zip(*[draw(rng) for _ in scenes], strict=True)
    calibration = calibrate(*pairs, scenes, [NOTHING] * 12, [False] * 12, model_sha256="sha", level=level)
    assert (calibration.pairs, calibration.scenes) == (12, 4)
    reached = [coverage(calibration.bound(signs, NOTHING), errors) for signs, errors in (draw(rng) for _ in range(20))]
    assert np.mean(reached) == pytest.approx(level, abs=0.01)
    signs, errors = draw(rng)
    large = signs[0] > np.quantile(signs[0], 0.8)
    bound = calibration.bound(signs, NOTHING)
    assert coverage(bound[large], errors[large]) == pytest.approx(level, abs=0.04)  # there too, not only on the whole
    assert bound[large].mean() > 2 * bound[~large].mean()


@pytest.mark.parametrize(("scenes", "factor"), [(("a", "b"), 2.0), (("a", "a"), np.sqrt(2))])
def test_a_scene_has_no_say_in_its_own_scale(scenes, factor):
    """Errors twice as large in one of two pairs: by the other's scale they are twice too large, by the mean's less."""
    signs = [np.random.default_rng(0).gamma(2.0, 0.1, (2, 80, 80)).astype(np.float32)] * 2
    errors = [5 * signs[0][0], 10 * signs[0][0]]
    found = calibrate(signs, errors, scenes, [NOTHING] * 2, [False] * 2, model_sha256="sha")
    assert found.sharp == found.blurred == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize("apart", [0.5, 6.0])
def test_each_kind_is_covered_where_traits_tell_them_apart(apart):
    """Errors of nearly sharp pictures are a third of those of others; traits are `apart` standard deviations apart."""
    rng = np.random.default_rng(0)

    def kinds(count):
        sharp = np.arange(count) % 4 == 0
        drawn = [draw(rng) for _ in sharp]
        errors = [error / 3 if kind else error for (_, error), kind in zip(drawn, sharp, strict=True)]
        traits = [rng.normal(0, 1, 3) + np.array([apart * kind, 0, 0]) for kind in sharp]
        return [signs for signs, _ in drawn], errors, traits, sharp

    signs, errors, traits, sharp = kinds(160)
    scenes = [f"scene {i // 8}" for i in range(160)]
    found = calibrate(signs, errors, scenes, traits, sharp, model_sha256="sha", pixels=1000)
    signs, errors, traits, sharp = kinds(400)
    reached = np.array([coverage(found.bound(s, t), e) for s, e, t in zip(signs, errors, traits, strict=True)])
    assert reached.mean() == pytest.approx(0.9, abs=0.015)
    if apart > 5:
        assert reached[sharp].mean() == pytest.approx(0.9, abs=0.03)
        assert reached[~sharp].mean() == pytest.approx(0.9, abs=0.03)
        assert found.blurred / found.sharp == pytest.approx(3, rel=0.15)
    assert found.blurred / found.sharp < 4  # not beyond all that there is, where nothing tells the kinds apart


def test_traits_tell_blur_and_the_size_of_the_correction(make_photo):
    photo = make_photo(128, 128).astype(np.float32) / 255
    soft = cv2.GaussianBlur(photo, (0, 0), 2.0)
    known, other = (traits_of(before, photo, from_correction(before, photo).typical) for before in (soft, photo))
    assert np.exp(known[0]) == pytest.approx(0.1 + 2 * np.sqrt(12), rel=0.4)  # the extent whose deviation is 2 pixels
    assert other[0] < np.log(0.2)  # nothing was corrected
    assert known[1] > other[1]
    assert known[2] < other[2]  # its finest detail is gone


def test_an_interval_of_scenes_is_that_of_their_means():
    shares, scenes = [0.80, 0.84, 0.90, 0.88, 0.70, 0.74], ["a", "a", "b", "b", "c", "c"]
    known = stats.ttest_1samp([0.82, 0.89, 0.72], 0).confidence_interval(0.95)
    low, high = interval_by_scene(shares, scenes)
    assert low == pytest.approx(known.low)
    assert high == 1.0 < known.high  # a share is at most 1
    assert interval_by_scene([0.9, 0.8], ["a", "a"]) == (0.0, 1.0)
    assert interval_by_scene([0.9, 0.9, 0.9], ["a", "b", "b"]) == pytest.approx((0.9, 0.9))


def test_error_and_signs(make_photo):
    photo = make_photo(64, 80).astype(np.float32) / 255
    assert np.allclose(error_of(photo + 0.1, photo), 0.1, atol=1e-6)
    steep, change = signs_of(photo, photo + 0.1)
    assert steep.shape == (64, 80)
    assert np.allclose(change, 0.1, atol=1e-5)
    ramp = np.repeat(np.arange(80, dtype=np.float32)[None, :, None] / 255, 64, axis=0).repeat(3, axis=2)
    assert signs_of(ramp, ramp)[0][20:40, 20:60] == pytest.approx(1 / 255, rel=1e-3)  # one step a pixel


def test_a_calibration_of_an_older_version_is_refused(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text('{"model_sha256": "a", "level": 0.9, "pairs": 12, "edges": [[0.1]], "bounds": [0.1]}')
    with pytest.raises(UnblurError, match=r"n\.json: lacks scenes; write it again with `unblur explain-pairs`"):
        find_calibration(path, "a")
    known = Calibration("a", 0.9, 12, 3, (0.1, 0.2, 0.7), (0.1, -0.2, 0.3, 0.4), 1.5, 2.5)
    write_json(path, known)
    assert find_calibration(path, "a") == known


def test_a_calibration_that_nobody_named_is_passed_over_where_it_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(CALIBRATION).parent.mkdir(parents=True)
    Path(CALIBRATION).write_text("{}")
    assert find_calibration(None, "a") is None
