"""Exports a network to one ONNX file of free batch, height and width, with PyTorch's dynamo exporter."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import onnx
import torch
from onnxscript.optimizer import optimize_ir
from torch import nn

from unblur.errors import UnblurError
from unblur.export.examples import traced
from unblur.networks.description import describe
from unblur.safety.atomic import replacing

FREE = {
    "image": {0: "batch", 2: "height", 3: "width"},
    "burst": {0: "batch", 1: "shots", 3: "height", 4: "width"},
    "video": {0: "batch", 2: "height", 3: "width"},
}
"""Names of the free sizes of the input `blur`."""


def export_onnx(network: nn.Module, path: Path, opset: int = 18) -> None:
    """Write `network` as an ONNX model from `blur` to `restored`, (batch, 3, height, width).

    A burst is (batch, shots, 3, height, width). Of a video network it is one step: more inputs and outputs carry its
    state (`unblur.networks.streaming`).

    The weights are inside the file. What the exporter notes about source files on this machine is left out.

    Args:
        network: for images, bursts or video, float32 in [0, 1]; on the CPU, in eval mode.
        path: the file to write.
        opset: version of ONNX's standard operators; layer normalisation needs 17.

    Raises:
        UnblurError: the network does something that ONNX at this opset cannot, or the result is not valid ONNX.
    """
    name = type(network).__name__
    task, trace = describe(network).task, traced(network)
    try:
        with _quiet():
            program = torch.onnx.export(
                trace.module,
                trace.inputs,
                dynamo=True,
                dynamic_shapes=(FREE[task], *trace.free[1:]),
                input_names=list(trace.names),
                output_names=list(trace.outputs),
                opset_version=opset,
                external_data=False,
                verbose=False,
                optimize=False,
            )
            done = cast("torch.onnx.ONNXProgram", program)
            optimize_ir(done.model, num_iterations=1)  # a second would take 5 more of MAXIM's 2,849 nodes, in as long
        model = done.model_proto
        _clean(model, FREE[task])
        onnx.helper.set_model_props(model, trace.metadata)
        onnx.checker.check_model(model, full_check=True)
    except (torch.onnx.OnnxExporterError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()[0]
        msg = f"{name} cannot be exported to ONNX with opset {opset}: {reason}; try another export.opset, or pt2"
        raise UnblurError(msg) from error
    with replacing(path) as unfinished:
        unfinished.write_bytes(model.SerializeToString())


def opset_of(file: Path) -> int:
    """Return the version of ONNX's standard operators that a file is written in."""
    return next(int(each.version) for each in onnx.load(file).opset_import if not each.domain)


def _clean(model: onnx.ModelProto, free: Mapping[int, str]) -> None:
    """Call the output's free sizes what the input's are called, and drop the notes on every part of the graph."""
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    for index, name in free.items():
        sizes[index].dim_param = name
    out = model.graph.output[0].type.tensor_type.shape.dim
    for index, name in FREE["image"].items():
        out[index].dim_param = name
    graph = model.graph
    for part in (model, graph, *graph.input, *graph.output, *graph.value_info, *graph.node, *graph.initializer):
        del part.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the exporter's remarks: packages that are not installed, deprecations inside PyTorch itself."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
