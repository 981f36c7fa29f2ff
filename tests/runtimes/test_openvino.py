import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from unblur.compression.graph_parts import halved, in_bytes
from unblur.errors import BrokenModelError
from unblur.runtimes.graph_file import read_graph
from unblur.runtimes.openvino import SIZES, OpenVinoSession, has_bf16
from unblur.runtimes.restorer import load_restorer

CHILD = """
import faulthandler, gc, os, signal, sys
from pathlib import Path
from unblur.runtimes.graph_file import read_graph
from unblur.runtimes.openvino import OpenVinoSession

faulthandler.enable()  # has a stack of its own for signal handlers, as under pytest
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
first = OpenVinoSession(read_graph(Path(sys.argv[1])), 1)
second = OpenVinoSession(read_graph(Path(sys.argv[1])), 1)
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_handled_after_sessions_whose_lives_overlap(box_onnx):
    """Two Cores of OpenVINO would leave the thread with a stack for signal handlers that is gone."""
    command = [sys.executable, "-c", CHILD, str(box_onnx())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"signal {-done.returncode}: {done.stderr}"
    assert done.stdout == "handled\n"


def test_settled_inputs_get_the_same_answers_and_few_graphs_are_kept(box_onnx):
    session = OpenVinoSession(read_graph(box_onnx()), 1)
    rng = np.random.default_rng(0)
    for shape in [(1, 3, 40, 56), (2, 3, 40, 56), (1, 3, 56, 40), (1, 3, 40, 56), (1, 3, 40, 56)]:
        batch = rng.random(shape, np.float32)
        found = session.run({"blur": batch}, settled=True)[0]
        np.testing.assert_allclose(found, session.run({"blur": batch})[0], atol=1e-6)
        assert len(session._settled) <= SIZES
    assert list(session._settled) == [((1, 3, 56, 40),), ((1, 3, 40, 56),)]  # the one that came last is last


@pytest.fixture
def product(tmp_path):
    """`product(stored)`: a graph that multiplies four rows by a constant, stored in one way or another."""
    weight = np.random.default_rng(0).random((4, 4), np.float32)
    nodes = [helper.make_node("MatMul", ["weight", "rows"], ["mixed"], "mix")]
    rows, mixed = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4, "m"]) for name in ("rows", "mixed"))
    graph = helper.make_graph(nodes, "product", [rows], [mixed], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path / "product.onnx"

    def make(stored):
        onnx.save(stored(model), path)
        return weight, read_graph(path)

    return make


@pytest.mark.parametrize(
    ("stored", "bound"),
    [(lambda model: model, 0.02), (lambda model: halved(model, 1), 0.02), (lambda model: in_bytes(model, 1), 0.04)],
    ids=["floats", "halves", "bytes"],
)
def test_a_product_whose_constant_stands_first_is_computed_in_the_precision_that_was_asked_for(product, stored, bound):
    weight, file = product(stored)
    session = OpenVinoSession(file, 1, "bf16")
    assert dict(session.inputs) == {"rows": (None, 4, None)}
    rows = np.random.default_rng(1).random((3, 4, 50), np.float32)
    for settled in (False, True):
        np.testing.assert_allclose(session.run({"rows": rows}, settled=settled)[0], weight @ rows, atol=bound)
    for request in (session._request, *session._settled.values()):
        nodes = request.get_compiled_model().get_runtime_model().get_ops()
        (ran,) = [node for node in nodes if node.get_rt_info()["layerType"].astype(str) == "MatMul"]
        assert ran.get_rt_info()["runtimePrecision"].astype(str) == ("bf16" if has_bf16() else "f32")


@pytest.mark.parametrize("kind", ["float16", "float64", "int32"])
def test_products_of_other_numbers_are_left_alone(tmp_path, kind):
    weight = np.arange(16).reshape(4, 4).astype(kind)
    to = helper.np_dtype_to_tensor_dtype(weight.dtype)
    nodes = [
        helper.make_node("Cast", ["rows"], ["cast"], to=to),
        helper.make_node("MatMul", ["weight", "cast"], ["product"]),
        helper.make_node("Cast", ["product"], ["mixed"], to=TensorProto.FLOAT),
    ]
    rows, mixed = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4, "m"]) for name in ("rows", "mixed"))
    graph = helper.make_graph(nodes, "product", [rows], [mixed], [numpy_helper.from_array(weight, "weight")])
    path = tmp_path / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    session = OpenVinoSession(read_graph(path), 1, "bf16")
    values = np.ones((2, 4, 5), np.float32)
    np.testing.assert_array_equal(session.run({"rows": values})[0], (weight @ values.astype(kind)).astype(np.float32))


@pytest.mark.parametrize("settled", [False, True])
def test_a_graph_that_can_be_read_but_not_compiled_is_a_broken_model(tmp_path, settled):
    nodes = [
        helper.make_node("Shape", ["blur"], ["sizes"]),
        helper.make_node("Unique", ["sizes"], ["different"]),  # nobody knows how many, so nor the axes of the zeros
        helper.make_node("ConstantOfShape", ["different"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["blur", "zero"], ["restored"]),
    ]
    blur, restored = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("blur", "restored")
    )
    graph = helper.make_graph(nodes, "unknown axes", [blur], [restored])
    path = tmp_path / "axes.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    restorer = load_restorer(path, 1, runtime="openvino", precision="f32")
    told = r"^axes\.onnx: OpenVINO reads it, but cannot compile it .*; export it again, or choose the runtime"
    with pytest.raises(BrokenModelError, match=told) as caught:
        (restorer.settled() if settled else restorer)(np.zeros((1, 3, 8, 9), np.float32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settled", [False, True])
def test_threads_that_share_a_session_get_their_own_answers(box_onnx, settled):
    session = OpenVinoSession(read_graph(box_onnx()), 1)

    def strangers(value):
        grey = np.full((1, 3, 64, 64), value, np.float32)
        answers = [session.run({"blur": grey}, settled=settled)[0][0, 0, 32, 32] for _ in range(300)]
        return sum(abs(answer - value) > 1e-3 for answer in answers)

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(strangers, (0.2, 0.5, 0.8))) == [0, 0, 0]
