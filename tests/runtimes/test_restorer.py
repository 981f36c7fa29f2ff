import numpy as np
import pytest

from unblur.errors import UnblurError, UsageError
from unblur.runtimes.restorer import load_restorer


def test_an_onnx_file_and_the_folder_that_mlflow_logs(box_onnx, tmp_path):
    path = box_onnx(name="folder/model.onnx")
    batch = np.random.default_rng(0).random((1, 3, 9, 9), dtype=np.float32)
    by_file, by_folder = load_restorer(path, threads=1), load_restorer(str(path.parent), threads=1)
    np.testing.assert_array_equal(by_file(batch), by_folder(batch))
    assert by_file.sha256 == by_folder.sha256


def test_a_reference_that_leads_nowhere_is_told_with_what_was_expected(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.pth").write_bytes(b"x")
    for name, reason in (("none.onnx", "no such model"), ("empty", "not a model"), ("model.pth", "not a model")):
        with pytest.raises(UnblurError, match=f"{name}: {reason}; expected an .onnx, .xml or .pt2 file"):
            load_restorer(tmp_path / name)


@pytest.mark.parametrize("threads", [0, -2, 1025, 10**10])
def test_a_number_of_threads_that_no_machine_has_is_refused_before_anything_is_read(tmp_path, threads):
    with pytest.raises(UsageError, match=f"--threads {threads}: expected 1 to 1024"):
        load_restorer(tmp_path / "none.onnx", threads)
