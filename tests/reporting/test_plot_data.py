import csv

import pytest

from unblur.reporting.plot_data import write_strength_bins, write_strength_gain

MAIN = "psnr/literature"


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_strength_gain_has_a_row_a_pair(tmp_path, make_scores):
    write_strength_gain(tmp_path / "plots" / "strength_gain.csv", make_scores(), MAIN)
    rows = read(tmp_path / "plots" / "strength_gain.csv")
    assert len(rows) == 6
    assert rows[3] == {
        "pair": "pair_3", "kind": "shake", "strength": "8.0", "blurred": "30.0", "model": "29.75", "gain": "-0.25"
    }  # fmt: skip


def test_strength_bins_has_every_method(tmp_path, make_scores):
    write_strength_bins(tmp_path / "bins.csv", make_scores(), MAIN)
    rows = {(row["method"], row["strength"]): row for row in read(tmp_path / "bins.csv")}
    assert len(rows) == 8
    assert float(rows["model", "nearly sharp"]["gain"]) == pytest.approx(1.5)
    assert float(rows["wiener", "over 14 px"]["gain"]) == pytest.approx(-5)
