"""Exports a network to a torch.export program (.pt2) of free batch, height and width.

What was tried, with padding inside the network:

- `H + (-H mod 8)` for the padded size: guards on halved sizes fail at sizes that the example did not have.
  `8 * ceil(H / 8)` (`layers.pad_to_multiple`) is one that PyTorch can simplify by itself.
- Cropping by a slice: whether the slice is contiguous becomes a guard, so an example of 41x54 refuses 64x48 and the
  other way round. `layers.crop` gathers the pixels while torch.export looks.
- Sizes up to one multiple (1x1 to 8x8 for three levels): PyTorch takes a size of 1 at the lowest level for a special
  case and refuses it, although the graph is right for it. The ranges are therefore opened here, and the loader
  switches the remaining guards off (`program.module(check_guards=False)`); parity at such sizes is what vouches.
"""

import io
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from unblur.errors import UnblurError
from unblur.export.examples import traced
from unblur.networks.description import describe
from unblur.safety.atomic import replacing


def export_program(network: nn.Module, path: Path) -> None:
    """Write `network` as a program from (B, 3, H, W), or a burst (B, K, 3, H, W), to (B, 3, H, W) float32 in [0, 1].

    The file holds neither an example input (it would be a pickle) nor notes about source files on this machine.

    Raises:
        UnblurError: torch.export cannot trace the network, or it is one for video.
    """
    program = traced_program(network)
    _open_ranges(program)
    _drop_notes(program)
    content = io.BytesIO()
    torch.export.save(program, content)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content.getvalue())


def traced_program(network: nn.Module) -> ExportedProgram:
    """Return the program of `network`, of free batch, height and width.

    Raises:
        UnblurError: torch.export cannot trace the network, or it is one for video.
    """
    name = type(network).__name__
    if describe(network).task == "video":
        msg = f"{name} is a video network, which goes to ONNX and OpenVINO alone; set export.formats=[onnx,openvino]"
        raise UnblurError(msg)
    trace = traced(network)
    try:
        with torch.no_grad():
            return torch.export.export(trace.module, trace.inputs, dynamic_shapes=trace.free, strict=False)
    except (RuntimeError, ValueError) as error:  # UserError and the other refusals of torch.export are RuntimeErrors
        reason = str(error).strip().splitlines()[0]
        msg = f"{name} cannot be exported with torch.export: {reason}; take pt2 and aotinductor out of export.formats"
        raise UnblurError(msg) from error


def _open_ranges(program: ExportedProgram) -> None:
    """Let every free size start at 1."""
    ranges = program.range_constraints
    for symbol, values in ranges.items():
        ranges[symbol] = type(values)(1, values.upper)


def _drop_notes(program: ExportedProgram) -> None:
    program.example_inputs = None
    for node in program.graph.nodes:
        for note in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(note, None)
