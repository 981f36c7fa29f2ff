"""Whether two windows of statistics are of the same photographs' kind: a test a statistic, and the size of the change.

Numbers are compared by the test of Kolmogorov and Smirnov, categories by chi-square. Photographs that follow each other
are often of one scene: each test counts as many photographs as there would be independent ones, by the autocorrelation
of the ranks in time (numbers) or of the most frequent category. P-values are corrected by S. Holm (1979), so that all
statistics together give a false alarm with the probability `alpha` at most.

A large window finds the smallest change significant. So the population stability index has to reach `least_psi` too,
over tenths of the reference and less what chance alone would give; by the usual reading 0.1 is a moderate change, 0.25
a large one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc
from scipy.stats import chi2_contingency, ks_2samp, kstwo

from unblur.drift.statistics import STATISTICS, Statistic
from unblur.drift.window import Window, columns_of

ALPHA = 0.01
LEAST_PSI = 0.1
BINS = 10
HEAVY = 0.05  # share of the reference from which on a value is a bin of its own
EXPECTED = 5.0  # photographs of a category; rarer ones are taken together

Numbers = NDArray[np.float64]
Texts = NDArray[np.str_]


@dataclass(frozen=True)
class Comparison:
    """One statistic of a window and of the reference.

    `window` and `reference` are medians of numbers, and the shares of categories in words; `independent` is how many
    photographs the window's are worth; `p` is corrected, of the statistics that are judged; `psi` has the share of
    chance taken off.
    """

    name: str
    about: str
    side: Literal["input", "output"]
    window: str
    reference: str
    independent: int
    p: float
    psi: float
    judged: bool
    drifted: bool = False


def compare(
    window: Window, reference: Window, alpha: float = ALPHA, least_psi: float = LEAST_PSI
) -> tuple[Comparison, ...]:
    """Compare every statistic that both have; those that have drifted come first, then in the order of `STATISTICS`."""
    names = columns_of(window, reference)
    found = [_compared(each, window, reference) for each in STATISTICS if each.name in names]
    judged = [each for each in found if each.judged]
    corrected = dict(zip([each.name for each in judged], holm([each.p for each in judged]), strict=True))
    found = [replace(each, p=corrected.get(each.name, each.p)) for each in found]
    found = [replace(each, drifted=each.judged and each.p < alpha and each.psi >= least_psi) for each in found]
    return tuple(sorted(found, key=lambda each: not each.drifted))


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (S. Holm 1979), in their order."""
    corrected, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = least
    return corrected


def independent(values: NDArray[Any]) -> float:
    """Return how many independent values a series is worth: n over 1 + 2 * the sum of its autocorrelations.

    Of numbers it is that of their ranks, of texts that of being the most frequent one. The sum ends where they are no
    longer told from chance. A series of one value is worth its length.
    """
    count = len(values)
    kinds, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(kinds) == 1:
        return float(count)
    if values.dtype.kind == "U":
        series = (codes == counts.argmax()).astype(np.float64)
    else:
        series = (np.cumsum(counts) - counts / 2)[codes]  # ranks, ties at their middle
    series = series - series.mean()
    spectrum = np.fft.rfft(series, 2 * count)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[1:count] / float(series @ series)
    chance = correlation < 2 / np.sqrt(count)
    length = int(chance.argmax()) if chance.any() else count - 1
    return float(count / (1 + 2 * correlation[:length].sum()))


def psi_of(window: NDArray[np.int_], reference: NDArray[np.int_], worth: tuple[float, float]) -> float:
    """Return the population stability index of counts in the same bins, less what chance gives; 0 at least.

    Half a photograph is added to each bin, as none may be empty. By chance, so many independent photographs (`worth`)
    give (bins - 1) * (1 / n + 1 / m).
    """
    shares = [(counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (window, reference)]
    whole = float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())
    return max(0.0, whole - (len(window) - 1) * (1 / worth[0] + 1 / worth[1]))


def edges_of(reference: Numbers) -> Numbers:
    """Return the inner edges of bins: tenths of the reference, and a bin of its own for each value that is frequent."""
    values, counts = np.unique(reference, return_counts=True)
    heavy = values[counts >= HEAVY * len(reference)]
    tenths = np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf")
    light = np.setdiff1d(tenths, heavy)
    return np.unique(np.concatenate([light, heavy, np.nextafter(heavy, np.inf)]))


def _compared(statistic: Statistic, window: Window, reference: Window) -> Comparison:
    if statistic.category:
        texts = window.categories(statistic.name), reference.categories(statistic.name)
        worth, (p, psi), shown = _worth(*texts), _categories(*texts), [_shares(each) for each in texts]
    else:
        numbers = window.numbers(statistic.name), reference.numbers(statistic.name)
        worth, (p, psi), shown = _worth(*numbers), _numbers(*numbers), [f"{np.median(each):.3g}" for each in numbers]
    return Comparison(
        name=statistic.name,
        about=statistic.about,
        side=statistic.side,
        window=shown[0],
        reference=shown[1],
        independent=round(worth[0]),
        p=p,
        psi=psi,
        judged=statistic.judged,
    )


def _worth(window: NDArray[Any], reference: NDArray[Any]) -> tuple[float, float]:
    return independent(window), independent(reference)


def _numbers(window: Numbers, reference: Numbers) -> tuple[float, float]:
    n, m = worth = _worth(window, reference)
    distance = float(ks_2samp(window, reference, method="asymp").statistic)
    p = float(kstwo.sf(distance, max(1, round(n * m / (n + m)))))
    edges = edges_of(reference)
    places = [np.searchsorted(edges, each, side="right") for each in (window, reference)]
    counts = [np.bincount(each, minlength=len(edges) + 1) for each in places]
    return p, psi_of(counts[0], counts[1], worth)


def _categories(window: Texts, reference: Texts) -> tuple[float, float]:
    worth = _worth(window, reference)
    names = np.unique(np.concatenate([window, reference]))
    counts = np.array([[(each == name).sum() for name in names] for each in (window, reference)])
    if len(names) == 1:
        return 1.0, 0.0
    psi = psi_of(counts[0], counts[1], worth)
    expected = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum()
    rare = expected < EXPECTED
    table = np.column_stack([counts[:, ~rare], *([counts[:, rare].sum(axis=1)] if rare.any() else [])])
    if table.shape[1] == 1:
        return 1.0, psi
    # As many photographs as are independent: each count by what its window is worth (J. Rao and A. Scott 1981).
    table = table * (np.array(worth) / counts.sum(axis=1))[:, None]
    found = chi2_contingency(table, correction=False)
    return float(chdtrc(found.dof, found.statistic)), psi


def _shares(values: Texts) -> str:
    """Say which categories there are, the most frequent first: "JPEG 90 %, PNG 10 %"."""
    names, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    return ", ".join(f"{names[index]} {counts[index] / len(values):.0%}" for index in order).replace("%", " %")
