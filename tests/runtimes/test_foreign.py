"""ONNX files of others: small graphs that average 3 x 3 pixels, laid out in all the ways that are found."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.ndimage import uniform_filter

from unblur.errors import UnblurError
from unblur.runtimes.foreign import ForeignRestorer
from unblur.runtimes.restorer import load_restorer

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


@pytest.fixture
def make(tmp_path):
    """Write a graph of nodes between `picture` and `result`; constants by name."""

    def write(nodes, shape, constants=None, kind=FLOAT, out=None):
        tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
        inputs = [helper.make_tensor_value_info("picture", kind, shape)]
        outputs = [helper.make_tensor_value_info("result", *(out or (kind, [None] * 4)))]
        graph = helper.make_graph(nodes, "foreign", inputs, outputs, tensors)
        path = tmp_path / "theirs.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
        return path

    return write


def node(operation, inputs, output, **attributes):
    return helper.make_node(operation, inputs.split(), [output], **attributes)


def mean(source, target):
    return node("Conv", f"{source} kernel", target, group=3, pads=[1, 1, 1, 1])


KERNEL = {"kernel": np.full((3, 1, 3, 3), 1 / 9, np.float32)}
SCALED = [node("Div", "picture white", "a"), mean("a", "b"), node("Mul", "b white", "result")]
WHITE = {**KERNEL, "white": np.float32(255)}


def expected(batch):
    return uniform_filter(batch, size=(0, 0, 3, 3), mode="constant")


def inner(batch):
    """Without the border, where tiles end and paddings differ."""
    return batch[..., 2:-2, 2:-2]


def picture(height, width, batch=1):
    rng = np.random.default_rng(0)
    return rng.random((batch, 3, height, width), dtype=np.float32)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("size", [(64, 64), (20, 33), (200, 150), (64, 200), (1, 1)])
def test_a_fixed_size_is_run_in_tiles_of_that_size(make, runtime, size):
    restorer = load_restorer(make([mean("picture", "result")], [1, 3, 64, 64], KERNEL), 1, runtime=runtime)
    assert isinstance(restorer, ForeignRestorer)
    batch = picture(*size, batch=2)
    restored = restorer(batch)
    assert restored.shape == batch.shape
    np.testing.assert_allclose(inner(restored), inner(expected(batch)), atol=5e-3)


def test_a_tile_may_be_wider_than_high(make):
    restorer = load_restorer(make([mean("picture", "result")], [1, 3, 32, 96], KERNEL), 1, runtime="onnxruntime")
    batch = picture(100, 250)
    np.testing.assert_allclose(inner(restorer(batch)), inner(expected(batch)), atol=1e-6)


def test_free_sizes_are_padded_for_networks_that_do_not(make):
    halved = [
        node("AveragePool", "picture", "half", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", "half none scales", "big", mode="nearest"),
        node("Add", "picture big", "both"),
        node("Mul", "both half_of", "result"),
    ]
    constants = {
        "none": np.zeros(0, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "half_of": np.float32(0.5),
    }
    restorer = load_restorer(make(halved, ["b", 3, "h", "w"], constants), 1, runtime="onnxruntime")
    batch = picture(21, 35)
    pooled = np.repeat(np.repeat(batch[..., :20, :34].reshape(1, 3, 10, 2, 17, 2).mean((3, 5)), 2, 2), 2, 3)
    np.testing.assert_allclose(restorer(batch)[..., :20, :34], (batch[..., :20, :34] + pooled) / 2, atol=1e-6)


@pytest.mark.parametrize("size", [[1, 64, 64, 3], [None, None, None, 3]])
def test_channels_last(make, size):
    turned = [
        node("Transpose", "picture", "a", perm=[0, 3, 1, 2]),
        mean("a", "b"),
        node("Transpose", "b", "result", perm=[0, 2, 3, 1]),
    ]
    restorer = load_restorer(make(turned, size, KERNEL), 1, runtime="onnxruntime")
    batch = picture(100, 70)
    np.testing.assert_allclose(inner(restorer(batch)), inner(expected(batch)), atol=1e-6)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_0_to_255_is_told_from_how_the_graph_begins(make, runtime):
    restorer = load_restorer(make(SCALED, [1, 3, "h", "w"], WHITE), 1, runtime=runtime)
    assert (restorer._white_in, restorer._white_out) == (255, 255)
    batch = picture(40, 50)
    np.testing.assert_allclose(inner(restorer(batch)), inner(expected(batch)), atol=1e-4)


@pytest.mark.parametrize(
    ("nodes", "constants", "whites"),
    [
        ([mean("picture", "result")], KERNEL, (1, 1)),
        (
            [node("Mul", "picture factor", "a"), mean("a", "result")],
            {**KERNEL, "factor": np.float32(1 / 255)},
            (255, 1),
        ),
        ([mean("picture", "a"), node("Mul", "a white", "result")], WHITE, (1, 255)),
        (
            [node("Sub", "picture means", "a"), mean("a", "b"), node("Add", "b means", "result")],
            {**KERNEL, "means": np.full((1, 3, 1, 1), 114, np.float32)},
            (255, 255),
        ),
        (
            [mean("picture", "a"), node("Clip", "a zero white", "result")],
            {**WHITE, "zero": np.float32(0)},
            (255, 255),
        ),
        # Nothing in the graph tells, but the trial picture comes back as nothing in [0, 1].
        ([node("Add", "picture eighty", "a"), mean("a", "result")], {**KERNEL, "eighty": np.float32(1.5)}, (255, 255)),
    ],
    ids=["none", "scaled in", "scaled out", "means", "clipped", "tried"],
)
def test_the_value_of_white_in_and_out(make, nodes, constants, whites):
    restorer = load_restorer(make(nodes, [1, 3, 64, 64], constants), 1, runtime="onnxruntime")
    assert (restorer._white_in, restorer._white_out) == whites


def test_whole_numbers_in_and_out(make):
    nodes = [
        node("Cast", "picture", "a", to=FLOAT),
        mean("a", "b"),
        node("Round", "b", "c"),
        node("Cast", "c", "result", to=UINT8),
    ]
    restorer = load_restorer(make(nodes, [1, 3, 64, 64], KERNEL, UINT8), 1, runtime="onnxruntime")
    batch = np.rint(picture(64, 64) * 255).astype(np.float32) / 255
    np.testing.assert_allclose(restorer(batch), np.rint(expected(batch * 255)) / 255, atol=1.01 / 255)


@pytest.mark.parametrize(
    ("nodes", "shape", "constants", "kind", "told"),
    [
        ([node("Neg", "picture", "result")], [1, 1, 64, 64], {}, FLOAT, "takes 1 channels, not 3"),
        ([node("Neg", "picture", "result")], [4, 3, 64, 64], {}, FLOAT, "takes 4 pictures at once, not one"),
        ([node("Neg", "picture", "result")], [1, 3, 8, 8], {}, FLOAT, "too small for tiles"),
        (
            [node("Neg", "picture", "result")],
            [1, 3, 64, 64],
            {},
            TensorProto.FLOAT16,
            "takes float16, not float or uint8",
        ),
        ([node("Neg", "picture", "result")], [1, 3, 64, 64], {}, FLOAT, "does not look like the picture"),
        (
            [node("Resize", "picture none scales", "result", mode="nearest")],
            [1, 3, 64, 64],
            {"none": np.zeros(0, np.float32), "scales": np.array([1, 1, 2, 2], np.float32)},
            FLOAT,
            r"returns \(1, 3, 128, 128\) for \(1, 3, 64, 64\), not a picture of that size",
        ),
        (
            [node("Reshape", "picture to", "result")],
            ["b", 3, "h", "w"],
            {"to": np.array([1, 3, 10, 10])},
            FLOAT,
            "fails on",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason_in_one_line(make, nodes, shape, constants, kind, told):
    with pytest.raises(UnblurError, match=rf"theirs\.onnx: .*{told}") as caught:
        load_restorer(make(nodes, shape, constants, kind), 1, runtime="onnxruntime")
    assert "\n" not in str(caught.value)
