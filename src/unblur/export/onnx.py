"""Exports a network to one ONNX file of free batch, height and width, with PyTorch's dynamo exporter."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import onnx
import torch
from torch import nn

from unblur.errors import UnblurError
from unblur.safety.atomic import replacing

INPUT, OUTPUT = "blur", "restored"
EXAMPLE = (2, 3, 41, 54)  # a batch of 1 would become a constant; height and width differ, so that they stay apart
FREE = {0: "batch", 2: "height", 3: "width"}


def export_onnx(network: nn.Module, path: Path, opset: int = 18) -> None:
    """Write `network` as an ONNX model with one input `blur` and one output `restored`, (batch, 3, height, width).

    The weights are inside the file. What the exporter notes about source files on this machine is left out.

    Args:
        network: takes and returns (B, 3, H, W) float32 in [0, 1]; on the CPU, in eval mode.
        path: the file to write.
        opset: version of ONNX's standard operators; layer normalisation needs 17.

    Raises:
        UnblurError: the network does something that ONNX at this opset cannot, or the result is not valid ONNX.
    """
    name = type(network).__name__
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                (torch.rand(EXAMPLE),),
                dynamo=True,
                dynamic_shapes=(FREE,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=opset,
                external_data=False,
                verbose=False,
            )
        model = cast("torch.onnx.ONNXProgram", program).model_proto
        _clean(model)
        onnx.checker.check_model(model, full_check=True)
    except (torch.onnx.OnnxExporterError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()[0]
        msg = f"{name} cannot be exported to ONNX with opset {opset}: {reason}; try another export.opset, or pt2"
        raise UnblurError(msg) from error
    with replacing(path) as unfinished:
        unfinished.write_bytes(model.SerializeToString())


def _clean(model: onnx.ModelProto) -> None:
    """Call the output's free sizes what the input's are called, and drop the notes on every part of the graph."""
    for index, name in FREE.items():
        model.graph.output[0].type.tensor_type.shape.dim[index].dim_param = name
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
