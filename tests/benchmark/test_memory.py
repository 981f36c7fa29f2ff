import numpy as np
import psutil
import pytest

from unblur.benchmark.memory import measure_fresh_start, peak_memory
from unblur.errors import UnblurError


def test_peak_memory_sees_an_allocation_and_keeps_it():
    resident = psutil.Process().memory_info().rss
    block = np.ones(400_000_000 // 8)
    during = peak_memory()
    del block
    assert during > resident + 390_000_000
    assert peak_memory() > during - 10_000_000  # the kernel counts in batches


@pytest.mark.slow
def test_a_fresh_process_reports_each_size_and_does_not_inherit_our_memory(entered):
    ballast = np.ones(2_000_000_000 // 8)
    starts = measure_fresh_start("onnxruntime", entered["trained onnxruntime"].file, [(64, 64), (16, 24)], threads=1)
    del ballast
    assert [(s.height, s.width) for s in starts] == [(16, 24), (64, 64)]  # from small to large
    assert all(s.first_ms > 0 and s.load_ms > 0 for s in starts)
    assert 20 < starts[0].peak_mb <= starts[1].peak_mb < 1500


@pytest.mark.slow
def test_a_file_that_cannot_be_run_is_told_in_one_line(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(
        UnblurError, match=r"^onnxruntime: cannot run .*model\.onnx in a fresh process: model\.onnx"
    ) as e:
        measure_fresh_start("onnxruntime", tmp_path / "model.onnx", [(8, 8)], threads=1)
    assert "\n" not in str(e.value)
