"""Writes a network as OpenVINO's pair of files, an .xml beside its .bin, by way of ONNX.

OpenVINO's own reader of PyTorch programs fails on padding to a multiple of symbolic sizes; through ONNX it is right.
"""

import tempfile
from pathlib import Path

import openvino
from torch import nn

from unblur.errors import UnblurError
from unblur.export.onnx import export_onnx
from unblur.runtimes.openvino import openvino_core
from unblur.safety.atomic import replacing

NOTES = "unblur"  # where the remarks of the ONNX file go in the .xml


def export_openvino(network: nn.Module, path: Path, opset: int = 18) -> None:
    """Write `network` as `path` (.xml) and its weights beside it (.bin), in float32.

    Raises:
        UnblurError: the network cannot be exported to ONNX, or OpenVINO cannot read what came out.
    """
    with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(network, file, opset)
        convert_onnx(file, path)


def convert_onnx(file: Path, path: Path) -> None:
    """Write the ONNX file as `path` (.xml) and its weights beside it (.bin); quantized layers stay so.

    Raises:
        UnblurError: OpenVINO cannot read the file.
    """
    import onnx

    try:
        model = openvino_core().read_model(file)
    except RuntimeError as error:
        msg = f"{file}: OpenVINO cannot read it ({' '.join(str(error).split())[:200]}); take it out of export.formats"
        raise UnblurError(msg) from error
    notes = onnx.load(file, load_external_data=False).metadata_props
    model.set_rt_info({note.key: note.value for note in notes}, [NOTES])
    with replacing(path) as unfinished, replacing(path.with_suffix(".bin")) as weights:
        xml = unfinished.with_name(unfinished.name + ".xml")
        openvino.save_model(model, xml, compress_to_fp16=False)
        xml.with_suffix(".bin").replace(weights)
        xml.replace(unfinished)
