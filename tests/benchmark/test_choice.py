"""What is deployed: by measured rounds, and not by their noise."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from unblur.benchmark.choice import choose, ratio_interval
from unblur.benchmark.latency import Latency
from unblur.errors import UnblurError
from unblur.records.latency import LatencyRow

STEADY = (0.99, 1.0, 1.01, 1.0)  # rounds, as shares of the median


def row(runtime, ms, lost, height=16, size=1.0):
    quality = (30.0 - lost, 0.9, 0.1, lost)
    return LatencyRow("trained", runtime, height, 6, 2, ms, 1.0, 100.0, 50.0, 90.0, size, *quality)


def measured(rows, shares=STEADY):
    return [
        Latency(
            f"trained {each.runtime}", each.height, 6, each.median_ms, 1.0, tuple(each.median_ms * s for s in shares)
        )
        for each in rows
    ]


def names(rows):
    return [("trained", each.runtime) for each in rows]


def test_the_fastest_within_the_budget_at_the_largest_size():
    rows = [row("pytorch", 90, 0.0), row("exact", 50, 0.0), row("rough", 10, 0.3), row("good", 30, 0.09)]
    rows += [row("exact", 1, 0.0, height=8), row("good", 2, 0.09, height=8)]
    found = choose(rows, measured(rows), [("trained", name) for name in ("exact", "rough", "good")], 0.1)
    assert (found.name, found.tied) == (("trained", "good"), (("trained", "good"),))
    assert [(each.runtime, each.height) for each in found.mark(rows) if each.chosen] == [("good", 16), ("good", 8)]
    assert choose(rows, measured(rows), [("trained", "rough"), ("trained", "exact")], 0.01).name[1] == "exact"


def test_a_budget_that_nothing_keeps_is_told():
    rows = [row("pytorch", 90, 0.0), row("rough", 10, 0.3)]
    with pytest.raises(UnblurError, match=r"nothing loses at most 0\.1 dB .*rough 0\.300"):
        choose(rows, measured(rows), [("trained", "rough")], 0.1)


def test_a_loss_that_is_no_number_is_not_within_the_budget():
    rows = [row("broken", 10, float("nan"))]
    with pytest.raises(UnblurError, match="nothing loses"):
        choose(rows, measured(rows), [("trained", "broken")], 0.1)


def test_what_is_restored_in_tiles_does_not_decide():
    whole, tiled = [row("a", 10, 0.0), row("b", 20, 0.0)], [row("a", 90, 0.0, 10**6), row("b", 80, 0.0, 10**6)]
    assert choose([*whole, *tiled], measured([*whole, *tiled]), names(whole), 0.1).name[1] == "a"


def test_of_those_that_cannot_be_told_apart_the_last_choice_stays_else_the_smallest():
    rows = [row("a", 100, 0.0, size=9.0), row("b", 101, 0.0, size=2.0), row("c", 150, 0.0, size=1.0)]
    latencies = (
        measured(rows[:1], (1.0, 1.1, 0.9, 1.2)) + measured(rows[1:2], (1.1, 0.9, 1.2, 1.0)) + measured(rows[2:])
    )
    assert choose(rows, latencies, names(rows), 0.1).name[1] == "b"
    assert choose(rows, latencies, names(rows), 0.1, last=("trained", "a")).name[1] == "a"
    assert choose(rows, latencies, names(rows), 0.1, last=("trained", "b")).name[1] == "b"
    assert choose(rows, latencies, names(rows), 0.1, last=("trained", "c")).name[1] == "b"  # certainly slower
    assert choose(rows, latencies, names(rows), 0.1, last=("pruned", "a")).name[1] == "b"  # is no more


def test_a_certain_gain_below_the_margin_changes_nothing():
    rows = [row("new", 99, 0.0), row("old", 100, 0.0)]
    last = ("trained", "old")
    assert choose(rows, measured(rows), names(rows), 0.1, last=last).name[1] == "new"
    assert choose(rows, measured(rows), names(rows), 0.1, margin=0.02, last=last).name[1] == "old"


@pytest.mark.property
def test_the_choice_of_equally_fast_ones_stays_over_a_hundred_runs_of_noise():
    """Three of one speed on a machine that slows down at times: the least median changes, the choice hardly ever."""
    rng = np.random.default_rng(0)
    fastest, chosen, last = set(), [], None
    for _ in range(100):
        slow = rng.choice([1.0, 1.6], 7)  # a neighbour on the machine: the same for all of a round
        rounds = {name: 100 * slow * rng.lognormal(0, 0.05, 7) for name in "abc"}
        rows = [row(name, float(np.median(taken)), 0.0) for name, taken in rounds.items()]
        latencies = [Latency(f"trained {name}", 16, 6, 0, 0, tuple(taken)) for name, taken in rounds.items()]
        fastest.add(min(rows, key=lambda each: each.median_ms).runtime)
        last = choose(rows, latencies, names(rows), 0.1, margin=0.02, last=last).name
        chosen.append(last)
    assert fastest == {"a", "b", "c"}
    assert sum(one != other for one, other in pairwise(chosen)) <= 8  # 95 %, twice over


def test_the_interval_is_that_of_students_paired_test():
    rng = np.random.default_rng(1)
    slow, fast = rng.uniform(90, 110, 6), rng.uniform(80, 100, 6)
    expected = stats.ttest_rel(np.log(slow), np.log(fast)).confidence_interval(0.95)
    assert ratio_interval(slow, fast) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))
    assert ratio_interval([2.0], [1.0]) == (0.0, np.inf)
