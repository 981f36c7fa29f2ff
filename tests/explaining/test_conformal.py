"""The promise holds on pairs of the same kind, and the bound is larger where errors are."""

import numpy as np
import pytest

from unblur.explaining.conformal import calibrate, coverage, error_of, signs_of


def draw(rng):
    signs = rng.gamma(2.0, 1.0, (3, 120, 120)).astype(np.float32)
    return signs, (signs[0] * np.abs(rng.normal(0, 0.01, (120, 120)))).astype(np.float32)


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_coverage_is_what_was_asked_for(level):
    rng = np.random.default_rng(0)
    calibration = calibrate(*zip(*[draw(rng) for _ in range(12)], strict=True), "sha", level)
    reached = [coverage(calibration.bound(signs), errors) for signs, errors in (draw(rng) for _ in range(20))]
    assert np.mean(reached) == pytest.approx(level, abs=0.01)
    signs, errors = draw(rng)
    large = signs[0] > np.quantile(signs[0], 0.8)
    bound = calibration.bound(signs)
    assert coverage(bound[large], errors[large]) == pytest.approx(level, abs=0.04)  # there too, not only on the whole
    assert bound[large].mean() > 2 * bound[~large].mean()


def test_error_and_signs(make_photo):
    photo = make_photo(64, 80).astype(np.float32) / 255
    assert np.allclose(error_of(photo + 0.1, photo), 0.1, atol=1e-6)
    signs = signs_of(photo)
    assert signs.shape == (3, 64, 80)
    assert np.ptp(signs[2]) == 0  # the blur of the whole picture
