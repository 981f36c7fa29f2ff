"""What of an ONNX graph is quantized, and to which part of the network it belongs."""

import itertools
from collections.abc import Collection, Container, Iterable, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
POOLS = ("ReduceMean", "GlobalAveragePool")


def quantizable(model: onnx.ModelProto, ends: bool = False) -> dict[str, str]:
    """Return the layers worth quantizing: name of the node -> name of the part of the network that it belongs to.

    Those are convolutions and products with weights, where the time goes, and sums between them: without those, every
    residual block would go to float and back. Not among them are norms, products of two activations (attention maps,
    gates), sums that a norm takes in, and layers behind a global pool, which see one pixel.

    Args:
        model: as `unblur.export.onnx` writes it: weights are called after their place in the network.
        ends: the first and the last layer as well.
    """
    weights = {each.name: each for each in model.graph.initializer}
    source = {output: node for node in model.graph.node for output in node.output}
    found: dict[str, str] = {}
    for node in model.graph.node:
        place = weight_of(node, weights)
        if place is None:
            continue
        taken, weight = node.input[1 - place], node.input[place]
        pooled = taken in source and source[taken].op_type in POOLS
        if not pooled and not _is_of_norm(weights[weight]):
            found[node.name] = part_of(weight)
    found = found if ends else dict(list(found.items())[1:-1])
    return found | _sums(model, found)


def weight_of(node: onnx.NodeProto, weights: Container[str]) -> int | None:
    """Return which input of a layer is its weight, None if it is no layer or has none.

    It is the second, but the first of a product that mixes positions (MAXIM's).
    """
    if node.op_type not in LAYERS:
        return None
    places = (1, 0) if node.op_type == "MatMul" else (1,)
    return next((place for place in places if node.input[place] in weights), None)


def _is_of_norm(weight: onnx.TensorProto) -> bool:
    """Return whether a weight takes the mean over the channels, or takes it away, as a folded layer norm does.

    Eight bits are too few for those (`unblur.networks.folding.Standardise`).
    """
    if list(weight.dims[2:]) != [1, 1] or weight.dims[0] not in (1, weight.dims[1]):
        return False
    matrix = numpy_helper.to_array(weight)[:, :, 0, 0]
    mean = np.full_like(matrix, 1 / matrix.shape[1])
    return np.allclose(matrix, mean) or (len(matrix) > 1 and np.allclose(matrix, np.eye(len(matrix)) - mean, atol=1e-6))


def _sums(model: onnx.ModelProto, layers: Mapping[str, str]) -> dict[str, str]:
    """Return the sums of a layer and something else that only go into layers and other such sums."""
    source = {output: node.name for node in model.graph.node for output in node.output}
    takers: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node.name)
    found = {
        node.name: layers[source[name]]
        for node in model.graph.node
        if node.op_type == "Add"
        for name in node.input
        if source.get(name) in layers and takers.get(node.output[0])
    }
    outputs = {node.name: node.output[0] for node in model.graph.node}
    while True:
        kept = {
            name: part
            for name, part in found.items()
            if all(taker in layers or taker in found for taker in takers[outputs[name]])
        }
        if kept == found:
            return found
        found = kept


def part_of(weight: str) -> str:
    """Return the part of a network to which a weight of this name belongs: a block, or a layer outside of blocks.

    Names go down to the first numbers: "encoders.0.1.conv3.weight" is of "encoders.0.1", "intro.weight" of "intro".
    """
    name, *places = weight.split(".")[:-1] or [weight]
    return ".".join([name, *itertools.takewhile(str.isdigit, places)])


def released(quantized: onnx.ModelProto, original: onnx.ModelProto, nodes: Iterable[str]) -> onnx.ModelProto:
    """Return a copy of the quantized graph in which some layers take in what they took before.

    Args:
        quantized: made of `original`, whose nodes it holds under the same names.
        original: in float32.
        nodes: names of the layers that go back to float.
    """
    before = {node.name: node for node in original.graph.node}
    floats = {each.name: each for each in original.graph.initializer}
    result = onnx.ModelProto()
    result.CopyFrom(quantized)
    here = {each.name for each in result.graph.initializer}
    chosen = set(nodes)
    for node in result.graph.node:
        if node.name not in chosen:
            continue
        for place, name in enumerate(before[node.name].input[:2]):
            node.input[place] = name
            if name in floats and name not in here:
                result.graph.initializer.append(floats[name])
                here.add(name)
    drop_unused(result)
    return result


def drop_unused(model: onnx.ModelProto) -> None:
    """Remove nodes and weights of which nothing depends."""
    graph = model.graph
    source: Mapping[str, onnx.NodeProto] = {output: node for node in graph.node for output in node.output}
    needed: set[str] = set()
    waiting = [output.name for output in graph.output]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in source:
            waiting += source[name].input
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    kept = [each for each in graph.initializer if each.name in needed]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


def halved(model: onnx.ModelProto, smallest: int = 1024) -> onnx.ModelProto:
    """Return a copy whose larger weights are stored in 16 bits; what is computed stays in float32.

    Runtimes bring the weights back when they load the file.

    Args:
        model: in float32.
        smallest: number of values from which on a weight is stored so.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    casts = []
    for each in graph.initializer:
        values = numpy_helper.to_array(each)
        if each.data_type != onnx.TensorProto.FLOAT or values.size < smallest:
            continue
        name = each.name
        each.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [each.name], [name], f"{name}.cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return result


def in_bytes(model: onnx.ModelProto, smallest: int, layers: Collection[str] | None = None) -> onnx.ModelProto:
    """Return a copy whose largest weights are stored in 8 bits, with a scale for each output; the rest is as it was.

    Nothing needs to be calibrated, as what is computed stays in float: rounding errors are those of the weights alone.

    Args:
        model: in float32.
        smallest: number of values from which on the weight of a convolution or product is stored so.
        layers: names of the nodes whose weights may be; None: all.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {each.name for each in graph.initializer}
    axes = {
        node.input[place]: 1 if place == 1 and node.op_type in ("ConvTranspose", "MatMul") else 0
        for node in graph.node
        if (place := weight_of(node, weights)) is not None and (layers is None or node.name in layers)
    }
    found, unpacked = [], []
    for each in graph.initializer:
        values = numpy_helper.to_array(each)
        if each.name not in axes or each.data_type != onnx.TensorProto.FLOAT or values.size < smallest:
            found.append(each)
            continue
        axis = axes[each.name]
        others = tuple(place for place in range(values.ndim) if place != axis)
        scale = np.maximum(abs(values).max(axis=others), np.finfo(np.float32).tiny) / np.float32(127)
        shape = [-1 if place == axis else 1 for place in range(values.ndim)]
        packed = np.rint(values / scale.reshape(shape)).astype(np.int8)
        found += [
            numpy_helper.from_array(packed, f"{each.name}.bytes"),
            numpy_helper.from_array(scale, f"{each.name}.scale"),
        ]
        unpacked.append(
            onnx.helper.make_node(
                "DequantizeLinear",
                [f"{each.name}.bytes", f"{each.name}.scale"],
                [each.name],
                f"{each.name}.unpack",
                axis=axis,
            )
        )
    nodes = [*unpacked, *graph.node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(found)
    return result
