import time

import pytest

from unblur.benchmark.latency import measure_latency
from unblur.errors import UnblurError


def sleeper(seconds, calls, name):
    def run(batch):
        calls.append((name, batch.shape[2:]))
        time.sleep(seconds)
        return batch

    return run


def test_medians_are_the_time_taken_and_rounds_are_interleaved():
    calls = []
    runs = {"slow": sleeper(0.03, calls, "slow"), "fast": sleeper(0.01, calls, "fast")}
    rows = measure_latency(runs, [(8, 6), (10, 12)], rounds=3, warmup=1)
    assert [(r.name, r.height, r.width) for r in rows] == [
        ("slow", 8, 6),
        ("fast", 8, 6),
        ("slow", 10, 12),
        ("fast", 10, 12),
    ]
    for row in rows:
        assert row.median_ms >= (30 if row.name == "slow" else 10)  # a busy machine may add to it
        assert row.spread_ms >= 0
    assert [name for name, _ in calls] == ["slow", "fast", "fast", "slow"] * 4  # the order rotates
    assert calls[0][1] == (8, 6)


def test_warm_up_rounds_do_not_count():
    waits = iter([0.2, 0.0, 0.0, 0.0])
    (row,) = measure_latency({"cold": lambda batch: time.sleep(next(waits)) or batch}, [(4, 4)], rounds=3, warmup=1)
    assert row.median_ms + row.spread_ms < 100


@pytest.mark.parametrize(("sizes", "rounds"), [([(8,)], 1), ([(0, 8)], 1), ([(8, 8)], 0)])
def test_what_cannot_be_measured_is_refused(sizes, rounds):
    with pytest.raises(UnblurError, match=r"benchmark\.(sizes|rounds)"):
        measure_latency({"none": lambda batch: batch}, sizes, rounds=rounds, warmup=0)
