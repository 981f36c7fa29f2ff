import numpy as np
import pytest
import scipy.stats

from unblur.errors import UnblurError
from unblur.evaluation import bootstrap
from unblur.evaluation.bootstrap import paired_bootstrap


def test_agrees_with_scipys_percentile_bootstrap():
    differences = np.random.default_rng(1).gamma(2.0, 0.5, 60) - 0.7
    ours = paired_bootstrap(differences, confidence=0.9, samples=20_000, seed=3)
    theirs = scipy.stats.bootstrap(
        (differences,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile", rng=7
    ).confidence_interval
    noise = 0.03 * differences.std() / np.sqrt(60) ** 0.5
    assert ours.mean == pytest.approx(differences.mean(), abs=1e-12)
    assert ours.low == pytest.approx(theirs.low, abs=noise)
    assert ours.high == pytest.approx(theirs.high, abs=noise)


@pytest.mark.property
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_covers_the_true_mean_as_often_as_it_says(confidence):
    rng = np.random.default_rng(0)
    trials, hits = 600, 0
    for trial in range(trials):
        interval = paired_bootstrap(rng.normal(0.3, 1.0, 50), confidence, samples=400, seed=trial)
        hits += interval.low <= 0.3 <= interval.high
    # The binomial spread of the count at 600 trials is about 1.6 points; N = 50 costs about one point of coverage.
    assert abs(hits / trials - confidence) < 0.05


def test_same_seed_same_interval_and_other_seed_another():
    differences = np.linspace(-1, 2, 30)
    assert paired_bootstrap(differences, 0.95, 500, 4) == paired_bootstrap(differences, 0.95, 500, 4)
    assert paired_bootstrap(differences, 0.95, 500, 4) != paired_bootstrap(differences, 0.95, 500, 5)


def test_bounded_memory_changes_nothing_but_the_draws(monkeypatch):
    differences = np.random.default_rng(2).normal(0, 1, 40)
    whole = paired_bootstrap(differences, 0.95, 20_000, 0)
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 40 * 7)
    pieces = paired_bootstrap(differences, 0.95, 20_000, 0)
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=0.02)


def test_equal_differences_leave_no_doubt():
    interval = paired_bootstrap(np.full(8, 0.25), 0.95, 100, 0)
    assert (interval.mean, interval.low, interval.high) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("differences", "confidence", "samples", "told"),
    [
        ([], 0.95, 10, "at least one"),
        ([[1.0]], 0.95, 10, "one value a pair"),
        ([1.0, np.nan], 0.95, 10, "1 of 2 differences are not finite"),
        ([1.0], 1.0, 10, "confidence 1.0"),
        ([1.0], 0.95, 0, "samples 0"),
    ],
)
def test_says_what_is_wrong(differences, confidence, samples, told):
    with pytest.raises(UnblurError, match=told):
        paired_bootstrap(np.array(differences), confidence, samples, 0)
