"""How an ONNX file of others wants its picture: order of axes, size, type, and the value of white."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unblur.errors import UnblurError
from unblur.runtimes.session import Shape

SMALLEST = 16
# What may stand between the input and the network proper.
PREPARING = {"Transpose", "Cast", "Identity", "Pad", "Reshape", "Unsqueeze", "Squeeze", "Sub", "Add", "Div", "Mul"}
FACTORS = (255.0, 1 / 255)


@dataclass(frozen=True)
class Layout:
    """A picture as a graph takes it: `height` and `width` are None where they are free, `white` is 1 or 255."""

    input: str
    channels_last: bool
    height: int | None
    width: int | None
    whole_numbers: bool
    white: float


def is_foreign(inputs: Mapping[str, Shape]) -> bool:
    """Tell a graph with one picture in that is not as `unblur export` writes it."""
    if len(inputs) != 1:
        return False
    ((name, shape),) = inputs.items()
    ours = name == "blur" and shape[1:2] == (3,) and not any(shape[2:])
    return len(shape) == 4 and not ours


def read_layout(content: bytes, name: str, inputs: Mapping[str, Shape]) -> Layout:
    """Read the layout from the graph's input and from what it does to it first.

    Args:
        content: of the .onnx file.
        name: what errors call it.
        inputs: see `is_foreign`.

    Raises:
        UnblurError: it takes no RGB picture, several at once, or one of a type or size that is not served.
    """
    import onnx

    (given, shape), *_ = inputs.items()
    batch, *rest = (size if size is None or size > 0 else None for size in shape)
    channels_last = rest[0] != 3 and rest[2] == 3
    channels, height, width = (rest[2], *rest[:2]) if channels_last else rest
    graph = onnx.load_model_from_string(content).graph
    kind = next(each.type.tensor_type.elem_type for each in graph.input if each.name == given)
    faults = {
        f"takes {channels} channels, not 3": channels not in (3, None),
        f"takes {batch} pictures at once, not one": batch not in (1, None),
        f"takes pictures of {width} x {height}, too small for tiles": min(height or 64, width or 64) < SMALLEST,
        f"takes {onnx.TensorProto.DataType.Name(kind).lower()}, not float or uint8": kind
        not in (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8),
    }
    for fault, found in faults.items():
        if found:
            msg = f"{name}: {fault}; it cannot be used here, take another model"
            raise UnblurError(msg)
    whole_numbers = kind == onnx.TensorProto.UINT8
    return Layout(given, channels_last, height, width, whole_numbers, 255.0 if whole_numbers else _white(graph, given))


def _white(graph: Any, given: str) -> float:  # noqa: ANN401
    """Return 255 if the graph scales its input down, takes off means of 0 to 255, or clips at 255; else 1."""
    constants = dict(_constants(graph))

    def beside(node: Any) -> npt.NDArray[Any]:  # noqa: ANN401
        return np.concatenate([constants[each].ravel() for each in node.input if each in constants] or [np.zeros(0)])

    reached = {given}
    for node in graph.node:  # in the order of the computation
        if node.op_type not in PREPARING or not reached & set(node.input):
            continue
        reached |= set(node.output)
        if node.op_type in ("Div", "Mul") and _are_factors(beside(node)):
            return 255.0
        if node.op_type in ("Sub", "Add") and (np.abs(beside(node)) > 2).any():
            return 255.0
    if any(node.op_type in ("Mul", "Div") and _are_factors(beside(node)) for node in graph.node):
        return 1.0  # only what comes out is scaled
    return 255.0 if any(n.op_type in ("Clip", "Min") and 255.0 in beside(n) for n in graph.node) else 1.0


def _are_factors(values: npt.NDArray[Any]) -> bool:
    return len(values) > 0 and any(np.allclose(values, factor, rtol=0.01) for factor in FACTORS)


def _constants(graph: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:  # noqa: ANN401
    """Yield the constants of up to one number a channel, by name."""
    from onnx import numpy_helper

    tensors = [(each.name, each) for each in graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant":
            tensors += [(node.output[0], each.t) for each in node.attribute if each.name == "value"]
    for name, tensor in tensors:
        if int(np.prod(tensor.dims, dtype=np.int64)) <= 4 and not tensor.external_data:
            yield name, numpy_helper.to_array(tensor).astype(np.float64)
