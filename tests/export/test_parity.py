import copy
import csv

import numpy as np
import pytest
import torch

from unblur.errors import UnblurError
from unblur.export.parity import ParityRow, check_parity, require_parity, write_parity

SIZES = [[1, 64, 48], [2, 33, 47], [1, 5, 1], [1, 1, 1], [3, 4, 8]]


@pytest.mark.slow
def test_every_format_equals_the_network_at_even_odd_and_tiny_sizes(network, files):
    tracked = []
    rows = check_parity(network, list(files.values()), SIZES, 1e-4, track=lambda items: tracked.extend(items) or items)
    assert [(r.format, r.batch, r.height, r.width) for r in rows] == [(f, *s) for f in files for s in SIZES]
    assert max(r.max_abs_difference for r in rows) < 1e-5
    assert all(r.passed for r in rows)
    assert tracked == list(files.values())
    require_parity(rows, 1e-4)


@pytest.mark.slow
def test_other_weights_are_noticed(network, files):
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.ending.bias[0] += 0.01
    rows = check_parity(other, [files["onnx"]], [[1, 9, 9]], 1e-4)
    assert rows[0].max_abs_difference == pytest.approx(0.01, abs=1e-5)
    with pytest.raises(UnblurError, match=r"1 of 1 parity checks failed; the worst: onnx at 1x3x9x9"):
        require_parity(rows, 1e-4)


def test_nan_counts_as_the_worst():
    rows = [
        ParityRow("onnx", 1, 8, 8, 0.5, False),
        ParityRow("pt2", 1, 9, 9, float("nan"), False),
        ParityRow("onnx", 1, 7, 7, 0.0, True),
    ]
    with pytest.raises(UnblurError, match="2 of 3 parity checks failed; the worst: pt2 at 1x3x9x9"):
        require_parity(rows, 1e-4)


def test_the_table_on_disk_has_every_row(tmp_path):
    write_parity([ParityRow("onnx", 2, 33, 47, 1.5e-7, True)], tmp_path / "parity.csv")
    with (tmp_path / "parity.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["format"] == "onnx"
    assert (row["batch"], row["height"], row["width"], row["passed"]) == ("2", "33", "47", "True")
    assert np.isclose(float(row["max_abs_difference"]), 1.5e-7)


@pytest.mark.slow
def test_nan_never_passes(network, files):
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.ending.bias[0] = float("nan")
    assert not check_parity(broken, [files["onnx"]], [[1, 9, 9]], 1e9)[0].passed


@pytest.mark.parametrize("size", [[64, 64], [1, 0, 8]])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(UnblurError, match="expected \\[batch, height, width\\]"):
        check_parity(torch.nn.Identity(), [], [size], 1e-4)
