import copy

import pytest
import torch

from unblur.errors import UnblurError
from unblur.export.parity import check_parity, require_parity
from unblur.records.parity import ParityRow

SIZES = [[1, 64, 48], [2, 33, 47], [1, 5, 1], [1, 1, 1], [3, 4, 8]]


@pytest.mark.slow
def test_every_format_equals_the_network_at_even_odd_and_tiny_sizes(network, files):
    tracked = []
    rows = check_parity(
        "trained", network, list(files.values()), SIZES, 1e-4, track=lambda items: tracked.extend(items) or items
    )
    sizes = ["x".join(map(str, size)) for size in SIZES]
    assert [(r.format, r.compared) for r in rows] == [(f, size) for f in files for size in sizes]
    assert max(r.figure for r in rows) < 1e-5
    assert all(r.passed for r in rows)
    assert tracked == list(files.values())
    require_parity(rows)


@pytest.mark.slow
def test_other_weights_are_noticed(network, files):
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.ending.bias[0] += 0.01
    rows = check_parity("trained", other, [files["onnx"]], [[1, 9, 9]], 1e-4)
    assert rows[0].figure == pytest.approx(0.01, abs=1e-5)
    with pytest.raises(UnblurError, match=r"1 of 1 parity checks failed; the worst: trained, onnx, 1x9x9: "):
        require_parity(rows)


def test_nan_counts_as_the_worst():
    rows = [
        ParityRow("trained", "onnx", "1x8x8", 0.5, 1e-4, "", False),
        ParityRow("trained", "pt2", "1x9x9", float("nan"), 1e-4, "", False),
        ParityRow("trained", "onnx", "1x7x7", 0.0, 1e-4, "", True),
    ]
    with pytest.raises(UnblurError, match="2 of 3 parity checks failed; the worst: trained, pt2, 1x9x9: "):
        require_parity(rows)


@pytest.mark.slow
def test_nan_never_passes(network, files):
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.ending.bias[0] = float("nan")
    assert not check_parity("trained", broken, [files["onnx"]], [[1, 9, 9]], 1e9)[0].passed


@pytest.mark.parametrize("size", [[64, 64], [1, 0, 8]])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(UnblurError, match="expected \\[batch, height, width\\]"):
        check_parity("trained", torch.nn.Identity(), [], [size], 1e-4)
