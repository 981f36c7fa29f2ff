"""Runs a graph with OpenVINO on the CPU; needs neither PyTorch nor MLflow."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from unblur.runtimes.session import SessionError, Shape

NOTES = "unblur"  # of the runtime information in an .xml, where the notes of an ONNX file go


class OpenVinoSession:
    """An .onnx file, or an .xml beside its .bin (see `Session`)."""

    def __init__(self, path: Path, threads: int | None, precision: str = "f32") -> None:
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = openvino_core().read_model(path)
            self._request = openvino_core().compile_model(model, "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise SessionError(error) from error
        self.inputs: Mapping[str, Shape] = {
            each.get_any_name(): tuple(None if size.is_dynamic else size.get_length() for size in each.partial_shape)
            for each in model.inputs
        }
        kinds = {each.get_element_type().get_type_name() for each in model.inputs}
        self.floats = kinds <= {"f32", "boolean"}
        self.notes: Mapping[str, str] = _notes(model, path)

    def run(self, values: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs, in the graph's order."""
        try:
            self._request.infer(dict(values))
        except RuntimeError as error:
            raise SessionError(error) from error
        return [np.array(tensor.data) for tensor in self._request.output_tensors]


@cache
def openvino_core() -> openvino.Core:
    """Return the one Core of this process.

    Each Core gives the thread a stack for its signal handlers, and on its end brings back the one before. Of two whose
    lives overlap that one may be gone by then, and the next signal that Python handles, such as Ctrl-C or the end of a
    child, ends the process with a segmentation fault.
    """
    return openvino.Core()


def has_bf16() -> bool:
    """Tell whether this CPU computes bfloat16 by itself: then it is about twice as fast as float32."""
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _notes(model: openvino.Model, path: Path) -> dict[str, str]:
    if model.has_rt_info([NOTES]):
        return {key: str(value) for key, value in model.get_rt_info([NOTES]).value.items()}
    if path.suffix != ".onnx" or len(model.inputs) == 1:  # only a video's step has notes; reading them takes a while
        return {}
    import onnx

    return {note.key: note.value for note in onnx.load(path, load_external_data=False).metadata_props}
