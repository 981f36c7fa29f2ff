"""Tests for drift: what they find, what they leave alone, and their figures against SciPy and by hand."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from unblur.drift.compare import compare, edges_of, holm, independent, psi_of


def verdicts(window, reference, **options):
    return {each.name for each in compare(window, reference, **options) if each.drifted}


def test_the_same_distribution_is_no_drift(make_window):
    reference = make_window(2000, 0)
    assert [seed for seed in range(1, 41) if verdicts(make_window(200, seed), reference)] == []


def test_a_change_is_found_and_named_alone(make_window):
    reference = make_window(2000, 0)
    assert [verdicts(make_window(200, seed, brightness=-30), reference) for seed in range(5)] == [{"brightness"}] * 5


def test_what_has_drifted_comes_first(make_window):
    found = compare(make_window(200, 1, noise=9.0), make_window(500, 0))
    assert [each.name for each in found] == ["noise", "blur", "brightness", "format", "milliseconds"]


def test_categories(make_window):
    reference = make_window(1000, 0)
    assert verdicts(make_window(200, 1, format="JPEG"), reference) == {"format"}
    assert verdicts(make_window(200, 1, format="WEBP"), reference) == {"format"}
    (found,) = [each for each in compare(make_window(200, 1, format="WEBP"), reference) if each.drifted]
    assert found.window == "WEBP 100 %"
    assert found.reference.startswith("JPEG 8")


def test_a_huge_window_does_not_alarm_on_a_trifle(make_window):
    """A hundredth of a standard deviation... times ten is certain in 50,000 photographs, and of no account."""
    window, reference = make_window(50_000, 1, brightness=3), make_window(50_000, 0)
    (found,) = [each for each in compare(window, reference) if each.name == "brightness"]
    assert found.p < 1e-6
    assert found.psi == pytest.approx(0.1**2, rel=0.3)  # of two normals d standard deviations apart, nearly d^2
    assert not found.drifted
    assert verdicts(window, reference, least_psi=0.005) == {"brightness"}


def test_a_value_of_all_that_moves(make_window):
    reference = make_window(100, 0, noise=1.0)
    assert verdicts(make_window(100, 1, noise=1.0), reference) == set()
    assert verdicts(make_window(100, 1, noise=1.001), reference) == {"noise"}
    assert verdicts(make_window(100, 1, noise=0.999), reference) == {"noise"}


def test_the_load_of_the_machine_is_shown_and_no_drift(make_window):
    found = {each.name: each for each in compare(make_window(200, 1, milliseconds=9e9), make_window(200, 0))}
    assert found["milliseconds"].p < 1e-6
    assert not found["milliseconds"].drifted


def test_what_one_of_both_lacks_is_left_out(make_window):
    names = {each.name for each in compare(make_window(100, 1, noise=None), make_window(100, 0))}
    assert names == {"blur", "brightness", "format", "milliseconds"}


def test_p_values_are_scipys(make_window):
    window, reference = make_window(300, 1, brightness=-9), make_window(400, 0, brightness=0)
    found = {each.name: each for each in compare(window, reference)}
    expected = {
        name: ks_2samp(window.numbers(name), reference.numbers(name), method="asymp").pvalue
        for name in ("blur", "brightness", "noise")
    }
    counts = [[(each.categories("format") == kind).sum() for kind in ("JPEG", "PNG")] for each in (window, reference)]
    expected["format"] = chi2_contingency(counts, correction=False).pvalue
    corrected = dict(zip(expected, holm(list(expected.values())), strict=True))
    for name, p in corrected.items():
        # SciPy rounds n * m / (n + m) too; a series that seems to have a little autocorrelation is worth less.
        assert found[name].p == pytest.approx(p, rel=0.25), name


def test_holm_by_hand():
    """S. Holm 1979: the k-th smallest of n times n - k + 1, never less than the one before, 1 at most."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_psi_by_hand():
    window, reference = np.array([50, 50]), np.array([100, 300])
    a, b = (50.5 / 101, 50.5 / 101), (100.5 / 401, 300.5 / 401)
    whole = sum((x - y) * np.log(x / y) for x, y in zip(a, b, strict=True))
    assert psi_of(window, reference, (100, 400)) == pytest.approx(whole - (1 / 100 + 1 / 400))
    assert psi_of(np.array([10, 30]), np.array([100, 300]), (40, 400)) == 0


def test_psi_of_chance_is_nearly_0():
    """What is taken off is the mean that chance gives."""
    rng = np.random.default_rng(0)
    whole = []
    for _ in range(300):
        counts = [np.bincount(rng.integers(0, 10, size), minlength=10) for size in (200, 1000)]
        whole.append(psi_of(*counts, (1e12, 1e12)))
    assert np.mean(whole) == pytest.approx(9 * (1 / 200 + 1 / 1000), rel=0.1)


def test_bins_are_tenths_and_frequent_values():
    values = np.arange(1000.0)
    assert len(edges_of(values)) == 9
    half = np.concatenate([np.zeros(500), values])
    edges = edges_of(half)
    assert np.searchsorted(edges, -1, side="right") != np.searchsorted(edges, 0, side="right")
    assert np.searchsorted(edges, 0, side="right") != np.searchsorted(edges, 1e-9, side="right")


class TestIndependent:
    """How many independent values a series is worth."""

    def test_independent_values_are_worth_their_number(self):
        found = [independent(np.random.default_rng(seed).normal(size=400)) for seed in range(50)]
        assert np.mean(found) == pytest.approx(400, rel=0.03)

    @pytest.mark.parametrize("times", [2, 5, 10])
    def test_each_value_several_times_in_a_row(self, times):
        values = np.repeat(np.random.default_rng(0).normal(size=2000 // times), times)
        assert independent(values) == pytest.approx(2000 / times, rel=0.25)

    def test_an_autoregressive_series(self):
        """AR(1) with 0.6 has the sum of autocorrelations 0.6 / 0.4: it is worth n / (1 + 2 * 1.5) = n / 4."""
        rng, values = np.random.default_rng(0), np.zeros(20_000)
        for index in range(1, len(values)):
            values[index] = 0.6 * values[index - 1] + rng.normal()
        assert independent(values) == pytest.approx(5000, rel=0.15)

    def test_texts(self):
        kinds = np.random.default_rng(0).choice(["JPEG", "PNG"], 400)
        assert independent(kinds) == pytest.approx(400, rel=0.1)
        assert independent(np.repeat(kinds, 5)) == pytest.approx(400, rel=0.25)
        assert independent(np.array(["JPEG"] * 70)) == 70

    def test_order_matters_not_the_scale(self):
        values = np.repeat(np.random.default_rng(0).normal(size=100), 5)
        assert independent(np.exp(3 * values)) == pytest.approx(independent(values))
        assert independent(np.random.default_rng(1).permutation(values)) > 400


def test_series_of_one_scene_are_no_drift(make_rows, tmp_path):
    """Ten photographs of each scene: without the correction most windows would seem to have drifted."""
    from unblur.drift.columns import write_rows
    from unblur.drift.window import read_window

    def series(seed, scenes):
        rows = [row for row in make_rows(scenes, seed) for _ in range(10)]
        times = make_rows(len(rows), 0)
        path = tmp_path / f"series{seed}.parquet"
        write_rows(path, [{**row, "time": each["time"]} for row, each in zip(rows, times, strict=True)])
        return read_window(path)

    reference = series(0, 300)
    windows = [series(seed, 20) for seed in range(1, 31)]
    assert sum(bool(verdicts(window, reference)) for window in windows) <= 1
    alone = [ks_2samp(window.numbers("brightness"), reference.numbers("brightness")).pvalue for window in windows]
    assert sum(p < 0.01 / 4 for p in alone) > 5
