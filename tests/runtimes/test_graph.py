import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from scipy.ndimage import uniform_filter

from unblur.errors import UnblurError
from unblur.runtimes.restorer import load_restorer
from unblur.safety.hashing import sha256_file


@pytest.fixture(params=["onnxruntime", "openvino"])
def runtime(request):
    return request.param


def test_it_computes_what_the_graph_says_at_any_size(box_onnx, runtime):
    path = box_onnx(side=3)
    restorer = load_restorer(path, threads=1, runtime=runtime, precision="f32")
    assert (restorer.name, restorer.sha256) == ("box.onnx", sha256_file(path))
    rng = np.random.default_rng(0)
    for shape in ((1, 3, 20, 33), (2, 3, 7, 5), (1, 3, 1, 1)):
        batch = rng.random(shape, dtype=np.float32)
        expected = uniform_filter(batch, size=(0, 0, 3, 3), mode="constant")
        np.testing.assert_allclose(restorer(batch), expected, atol=1e-6)


def test_a_file_that_is_no_model(tmp_path, runtime):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"no protobuf at all")
    with pytest.raises(UnblurError, match=r"bad\.onnx: not an ONNX model") as caught:
        load_restorer(path, runtime=runtime)
    assert "\n" not in str(caught.value)


def test_a_graph_with_several_inputs_is_refused(tmp_path, runtime):
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("blur", "more", "restored")
    ]
    graph = helper.make_graph([helper.make_node("Add", ["blur", "more"], ["restored"])], "two", values[:2], values[2:])
    path = tmp_path / "two.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    with pytest.raises(UnblurError, match=r"two\.onnx: takes blur: .*, more: .*; expected one float"):
        load_restorer(path, runtime=runtime)


def test_neither_torch_nor_mlflow_is_imported(box_onnx, runtime):
    code = (
        "import sys; from unblur.runtimes.restorer import load_restorer;"
        f"load_restorer({str(box_onnx())!r}, threads=1, runtime={runtime!r});"
        "print(sorted({'torch', 'mlflow', 'onnx', 'lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


# With threads of its own choice it has no more than with one, where it may run on one processor alone.
ON_ONE = """
import os, sys, psutil
from pathlib import Path
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from unblur.runtimes.restorer import load_restorer
counts = []
for threads in (1, None):
    before = psutil.Process().num_threads()
    kept = load_restorer(Path(sys.argv[1]), runtime="onnxruntime", threads=threads)
    counts.append(psutil.Process().num_threads() - before)
    globals()[f"kept_{threads}"] = kept
print(*counts)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="binds a process to a processor, as Linux can")
def test_onnx_runtime_has_no_more_threads_than_processors_that_it_may_run_on(box_onnx):
    done = subprocess.run([sys.executable, "-c", ON_ONE, box_onnx()], capture_output=True, text=True, check=True)
    with_one, by_choice = done.stdout.split()
    assert by_choice == with_one
