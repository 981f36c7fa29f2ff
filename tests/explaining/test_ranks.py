"""The rank correlation is SciPy's, with values that occur twice, and 0 where there is no order."""

import numpy as np
from scipy.stats import spearmanr

from unblur.explaining.ranks import rank_correlation, rank_correlations


def test_it_is_that_of_scipy():
    rng = np.random.default_rng(0)
    one, others = rng.integers(0, 9, 40) / 4.0, rng.integers(-5, 5, (40, 6)) / 3.0
    expected = [spearmanr(one, column).statistic for column in others.T]
    np.testing.assert_allclose(rank_correlations(one, others), expected, atol=1e-12)
    assert rank_correlation(one, others[:, 2]) == rank_correlations(one, others)[2]


def test_it_is_zero_where_all_values_are_the_same():
    rising, same = np.arange(5.0), np.ones(5)
    assert [rank_correlation(a, b) for a, b in ((rising, same), (same, rising), (same, same))] == [0, 0, 0]
    assert rank_correlation(rising, -rising) == -1
