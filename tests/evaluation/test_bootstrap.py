import numpy as np
import pytest
import scipy.stats

from unblur.errors import UnblurError
from unblur.evaluation import bootstrap
from unblur.evaluation.bootstrap import paired_bootstrap


def alone(differences):
    """Each pair in a scene of its own."""
    return [f"{index:03d}" for index in range(len(differences))]


def test_is_the_textbooks_interval():
    """The BCa interval by its definition (Efron & Tibshirani 1993, section 14.3), with draws of its own."""
    differences = np.random.default_rng(1).gamma(2.0, 0.5, 60) - 0.7
    ours = paired_bootstrap(differences, alone(differences), confidence=0.9, samples=20_000, seed=3)
    rng, normal = np.random.default_rng(7), scipy.stats.norm
    means = np.sort(differences[rng.integers(0, 60, (20_000, 60))].mean(axis=1))
    bias = normal.ppf((means < differences.mean()).mean())
    left = (differences.sum() - differences) / 59  # the mean without each one
    pull = left.mean() - left
    acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    ends = bias + normal.ppf([0.05, 0.95])
    expected = np.quantile(means, normal.cdf(bias + ends / (1 - acceleration * ends)))
    noise = 0.03 * differences.std() / np.sqrt(60) ** 0.5
    assert ours.mean == pytest.approx(differences.mean(), abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx(tuple(expected), abs=noise)


def test_follows_skewed_differences_better_than_plain_percentiles():
    rng, trials = np.random.default_rng(0), 300
    ours, plain = 0, 0
    for trial in range(trials):
        differences = rng.exponential(1.0, 12)
        found = paired_bootstrap(differences, alone(differences), 0.95, 400, trial)
        ours += found.low <= 1.0 <= found.high
        means = differences[rng.integers(0, 12, (400, 12))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        plain += low <= 1.0 <= high
    assert ours > plain


@pytest.mark.parametrize("differences", [[0.5], [0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1e-12]])
def test_few_or_nearly_equal_differences_have_an_interval(differences):
    for samples in (1, 3, 100):
        found = paired_bootstrap(np.array(differences), alone(differences), 0.95, samples, 0)
        assert found.low <= found.high
        assert min(differences) <= found.low
        assert found.high <= max(differences)


@pytest.mark.property
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_covers_the_true_mean_as_often_as_it_says(confidence):
    rng = np.random.default_rng(0)
    trials, hits = 600, 0
    for trial in range(trials):
        interval = paired_bootstrap(rng.normal(0.3, 1.0, 50), alone(range(50)), confidence, samples=400, seed=trial)
        hits += interval.low <= 0.3 <= interval.high
    # The binomial spread of the count at 600 trials is about 1.6 points; N = 50 costs about one point of coverage.
    assert abs(hits / trials - confidence) < 0.05


@pytest.mark.property
def test_pairs_of_few_scenes_are_not_taken_for_so_many_scenes():
    """Scenes differ as much as the pairs of one: an interval over pairs holds the mean far too seldom."""
    rng = np.random.default_rng(0)
    trials, scenes, pairs = 400, 30, 6
    of = np.repeat(np.arange(scenes), pairs).astype(str)
    hits = {"scenes": 0, "pairs": 0}
    for trial in range(trials):
        differences = (rng.normal(0.3, 1.0, (scenes, 1)) + rng.normal(0, 1.0, (scenes, pairs))).ravel()
        for name, groups in (("scenes", of), ("pairs", alone(of))):
            interval = paired_bootstrap(differences, groups, 0.95, samples=300, seed=trial)
            hits[name] += interval.low <= 0.3 <= interval.high
    assert 0.89 <= hits["scenes"] / trials <= 0.99
    assert hits["pairs"] / trials < 0.8


def test_scenes_of_several_sizes_weigh_by_their_pairs():
    differences, scenes = np.array([1.0, 1.0, 1.0, -1.0]), ["a", "a", "a", "b"]
    found = paired_bootstrap(differences, scenes, 0.95, 500, 0)
    assert (found.mean, found.low, found.high) == (0.5, -1.0, 1.0)


def test_one_scene_alone_is_resampled_by_its_pairs():
    differences = np.linspace(-1, 2, 30)
    assert paired_bootstrap(differences, ["a"] * 30, seed=1) == paired_bootstrap(
        differences, alone(differences), seed=1
    )


def test_a_scene_for_each_pair_is_asked_for():
    with pytest.raises(UnblurError, match="1 scenes for 2 differences"):
        paired_bootstrap(np.zeros(2), ["a"])


def test_same_seed_same_interval_and_other_seed_another():
    differences = np.linspace(-1, 2, 30)
    assert paired_bootstrap(differences, alone(differences), 0.95, 500, 4) == paired_bootstrap(
        differences, alone(differences), 0.95, 500, 4
    )
    assert paired_bootstrap(differences, alone(differences), 0.95, 500, 4) != paired_bootstrap(
        differences, alone(differences), 0.95, 500, 5
    )


def test_bounded_memory_changes_nothing_but_the_draws(monkeypatch):
    differences = np.random.default_rng(2).normal(0, 1, 40)
    whole = paired_bootstrap(differences, alone(differences), 0.95, 20_000, 0)
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 40 * 7)
    pieces = paired_bootstrap(differences, alone(differences), 0.95, 20_000, 0)
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=0.02)


def test_equal_differences_leave_no_doubt():
    interval = paired_bootstrap(np.full(8, 0.25), alone(range(8)), 0.95, 100, 0)
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
        paired_bootstrap(np.array(differences), alone(differences), confidence, samples, 0)
