"""parity.csv as the registry reads it."""

from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.registry.parity import Parity, read_onnx_parity

HEADER = "format,batch,height,width,max_abs_difference,passed\n"


def test_the_largest_difference_of_the_onnx_rows(tmp_path: Path) -> None:
    rows = "onnx,1,8,8,1e-06,True\nonnx,2,9,7,3e-06,true\npt2,1,8,8,1.0,False\n"
    (tmp_path / "parity.csv").write_text(HEADER + rows)
    assert read_onnx_parity(tmp_path) == Parity(3e-6, passed=True, sizes=2)


@pytest.mark.parametrize("verdict", ["False", "false", "0", "no", ""])
def test_one_size_that_fails_fails(tmp_path: Path, verdict: str) -> None:
    (tmp_path / "parity.csv").write_text(f"{HEADER}onnx,1,8,8,1e-06,True\nonnx,2,9,7,1e-2,{verdict}\n")
    assert not read_onnx_parity(tmp_path).passed


@pytest.mark.parametrize("content", [None, "", HEADER, HEADER + "pt2,1,8,8,0,True\n", HEADER + "onnx,1,8,8,?,True\n",
                                     HEADER + "onnx,1,8,8,1\n", "format\nonnx\n"])  # fmt: skip
def test_what_cannot_be_read_is_an_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "parity.csv").write_text(content)
    with pytest.raises(UnblurError, match=r"parity\.csv .*unblur export"):
        read_onnx_parity(tmp_path)
