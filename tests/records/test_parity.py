"""parity.csv, written by the export and read by the report and the registry."""

from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.records.parity import Parity, ParityRow, read_onnx_parity, read_parity, write_parity

HEADER = "variant,format,compared,figure,limit,unit,passed\n"
ROW = "trained,onnx,1x8x8,1e-06,0.0001,,True\n"


def test_the_largest_difference_of_the_models_onnx_rows(tmp_path: Path) -> None:
    others = "trained,pt2,1x8x8,1.0,0.0001,,False\npruned_int8,onnx,4 pairs,0.02,0.05,dB,True\n"
    (tmp_path / "parity.csv").write_text(f"{HEADER}{ROW}trained,onnx,2x9x7,3e-06,0.0001,,true\n{others}")
    assert read_onnx_parity(tmp_path, "trained") == Parity(3e-6, "", passed=True, comparisons=2)
    assert read_onnx_parity(tmp_path, "pruned_int8") == Parity(0.02, "dB", passed=True, comparisons=1)


@pytest.mark.parametrize("verdict", ["False", "false", "0", "no"])
def test_one_size_that_fails_fails(tmp_path: Path, verdict: str) -> None:
    (tmp_path / "parity.csv").write_text(f"{HEADER}{ROW}trained,onnx,2x9x7,1e-2,0.0001,,{verdict}\n")
    assert not read_onnx_parity(tmp_path, "trained").passed


BROKEN = (
    None,
    "",
    HEADER,
    HEADER + ROW.replace("onnx", "pt2"),
    HEADER + ROW.replace("trained", "pruned"),
    HEADER + ROW.replace("1e-06", "?"),
    HEADER + "trained,onnx,1\n",
    HEADER + ROW.replace("True", ""),
    "variant,format\ntrained,onnx\n",
)


@pytest.mark.parametrize("content", BROKEN)
def test_what_cannot_be_read_is_an_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "parity.csv").write_text(content)
    with pytest.raises(UnblurError, match=r"parity\.csv.*unblur export"):
        read_onnx_parity(tmp_path, "trained")


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [
        ParityRow("trained", "onnx", "1x8x8", 1 / 3e6, 1e-4, "", passed=True),
        ParityRow("trained_int8", "openvino", "12 pairs", -0.01, 0.05, "dB", passed=False),
    ]
    write_parity(rows, tmp_path)
    assert read_parity(tmp_path) == rows
