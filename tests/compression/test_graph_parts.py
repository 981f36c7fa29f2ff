import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from unblur.compression.graph_parts import halved, in_bytes, part_of, quantizable, released
from unblur.compression.quantize import quantize
from unblur.errors import UnblurError


def outputs(model, image):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"blur": image})[0]


@pytest.fixture
def image():
    return np.random.default_rng(0).random((1, 3, 24, 20), dtype=np.float32)


@pytest.fixture(scope="module")
def layers(graph):
    return quantizable(graph)


@pytest.fixture(scope="module")
def int8(graph, layers):
    rng = np.random.default_rng(1)
    return quantize(graph, layers, [{"blur": rng.random((2, 3, 32, 32), dtype=np.float32)} for _ in range(3)])


def test_parts_are_blocks_and_layers_outside_of_them():
    names = ("encoders.0.1.conv3.weight", "intro.weight", "ups.2.0.weight", "level1.0.points.0.weight", "val_3")
    assert [part_of(name) for name in names] == ["encoders.0.1", "intro", "ups.2.0", "level1.0", "val_3"]


def test_norms_pools_and_ends_are_left_alone(graph, layers):
    weights = {node.name: node.input[1] for node in graph.graph.node if node.name in layers}
    assert not [name for name in weights.values() if "standardise" in name or ".sca." in name]
    assert not {"intro.weight", "ending.weight"} & set(weights.values())
    assert {"intro.weight", "ending.weight"} <= {
        node.input[1] for node in graph.graph.node if node.name in quantizable(graph, ends=True)
    }
    assert {"encoders.0.0", "middle_blks.0", "downs.0"} <= set(layers.values())


def test_eight_bits_are_near_and_not_the_same(graph, int8, image):
    apart = np.abs(outputs(int8, image) - outputs(graph, image)).max()
    assert 1e-5 < apart < 0.05


def test_only_the_layers_that_were_named_take_in_int8(int8, layers):
    source = {output: node.op_type for node in int8.graph.node for output in node.output}
    taking = {
        node.name for node in int8.graph.node if source.get(node.input[0] if node.input else "") == "DequantizeLinear"
    }
    assert taking - {""} == set(layers)


def test_what_is_released_is_float_again(graph, int8, layers, image):
    onnx.checker.check_model(released(int8, graph, layers), full_check=True)
    np.testing.assert_allclose(outputs(released(int8, graph, layers), image), outputs(graph, image), atol=1e-6)
    assert not [node for node in released(int8, graph, layers).graph.node if node.op_type == "QuantizeLinear"]


def test_some_layers_alone_can_be_released(graph, int8, layers, image):
    partly = released(int8, graph, list(layers)[:3])
    onnx.checker.check_model(partly, full_check=True)
    assert 1e-6 < np.abs(outputs(partly, image) - outputs(graph, image)).max() < 0.05


def test_halved_weights_take_half_the_room(graph, image):
    half = halved(graph, smallest=2)
    onnx.checker.check_model(half, full_check=True)
    np.testing.assert_allclose(outputs(half, image), outputs(graph, image), atol=2e-3)
    kinds = {each.data_type for each in half.graph.initializer if np.prod(each.dims) > 1}
    assert onnx.TensorProto.FLOAT not in kinds


def test_weights_in_bytes_take_a_quarter_of_the_room_and_compute_in_float(graph, image):
    packed = in_bytes(graph, smallest=2)
    onnx.checker.check_model(packed, full_check=True)
    assert 1e-6 < np.abs(outputs(packed, image) - outputs(graph, image)).max() < 0.02
    stored = {each.name: each for each in packed.graph.initializer}
    whole = {each.name: np.prod(each.dims) for each in graph.graph.initializer}
    weights = [name for name in whole if f"{name}.bytes" in stored]
    assert weights
    assert all(stored[f"{name}.bytes"].data_type == onnx.TensorProto.INT8 for name in weights)
    assert not set(weights) & stored.keys()
    assert sum(len(stored[f"{name}.bytes"].raw_data) for name in weights) == sum(whole[name] for name in weights)
    assert in_bytes(graph, smallest=10**9).SerializeToString() == graph.SerializeToString()


def test_only_weights_of_the_layers_that_were_named_are_in_bytes(graph, layers):
    packed = in_bytes(graph, 1, layers)
    stored = {each.name.removesuffix(".bytes") for each in packed.graph.initializer if each.name.endswith(".bytes")}
    sums = {node.name for node in graph.graph.node if node.op_type == "Add"}
    assert stored == {node.input[1] for node in graph.graph.node if node.name in layers and node.name not in sums}


def test_a_product_may_have_its_weight_first():
    rng = np.random.default_rng(0)
    weights = {"first.weight": rng.random((6, 4), np.float32), "second.weight": rng.random((5, 7), np.float32)}
    weights["first.weight"][2] *= 1000  # so that a scale for each column would be wrong
    nodes = [
        onnx.helper.make_node("MatMul", ["first.weight", "blur"], ["mixed"], "mix"),
        onnx.helper.make_node("MatMul", ["mixed", "second.weight"], ["restored"], "project"),
    ]
    kind = onnx.TensorProto.FLOAT
    blurred, restored = (
        onnx.helper.make_tensor_value_info(name, kind, sizes)
        for name, sizes in (("blur", [4, 5]), ("restored", [6, 7]))
    )
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = onnx.helper.make_graph(nodes, "products", [blurred], [restored], stored)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    assert quantizable(model, ends=True) == {"mix": "first", "project": "second"}
    blur = rng.random((4, 5), np.float32)
    found, right = outputs(in_bytes(model, 1), blur), outputs(model, blur)
    assert (abs(found - right).max(1) < 0.01 * abs(right).max(1)).all()


def test_nothing_to_quantize_is_told(graph):
    with pytest.raises(UnblurError, match="0 layers to quantize with 0 inputs"):
        quantize(graph, {}, [])
    assert torch.is_grad_enabled()
