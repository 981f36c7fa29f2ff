"""What the tests of drift share: rows of statistics with known distributions."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from unblur.drift.columns import write_rows
from unblur.drift.window import read_window

START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def make_rows():
    """`make_rows(count, seed, brightness=0, model="a")`: a row a minute; brightness is normal, moved by so much."""

    def make(count, seed, brightness=0.0, model="a", **constant):
        rng = np.random.default_rng(seed)
        return [
            {
                "time": START + timedelta(minutes=index),
                "model": model,
                "brightness": float(rng.normal(110 + brightness, 30)),
                "blur": float(rng.lognormal(0.2, 0.3)),
                "noise": float(rng.exponential(1.0)),
                "format": str(rng.choice(["JPEG", "PNG"], p=[0.8, 0.2])),
                "milliseconds": float(rng.normal(500, 50)),
                **constant,
            }
            for index in range(count)
        ]

    return make


@pytest.fixture
def make_window(tmp_path, make_rows):
    """`make_window(count, seed, ...)`: the same as a window, read from a file."""

    def make(count, seed, **options):
        path = tmp_path / f"{count}-{seed}.parquet"
        write_rows(path, make_rows(count, seed, **options))
        return read_window(path)

    return make
