"""Runs a graph with OpenVINO on the CPU; needs neither PyTorch nor MLflow."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13

from unblur.errors import BrokenModelError
from unblur.runtimes.graph_file import GraphFile
from unblur.runtimes.session import SessionError, Shape

SIZES = 2  # a photograph's and, turned, another's
ONE = "unblur.one"  # the input that `_hide_constants` adds
UNPACKING = ("Convert", "Reshape", "Multiply", "Subtract")  # that turn stored numbers into weights
NOTES = "unblur"  # of the runtime information in an .xml, where the notes of an ONNX file go


class OpenVinoSession:
    """An .onnx file, or an .xml beside its .bin (see `Session`); threads that share it take turns.

    It is compiled when it is first run; `name` is what the error calls it if that fails.
    """

    def __init__(
        self, file: GraphFile, threads: int | None, precision: str = "f32", name: str = "the OpenVINO model"
    ) -> None:
        self._name = name
        self._settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        if threads:
            self._settings["INFERENCE_NUM_THREADS"] = threads
        try:
            self._model = model = _read(file)
        except RuntimeError as error:
            raise SessionError(error) from error
        self._request: openvino.InferRequest | None = None  # of any sizes; each is compiled when it is asked for
        self._settled: OrderedDict[tuple[Shape, ...], openvino.InferRequest] = OrderedDict()
        self._turn = threading.Lock()
        self.inputs: Mapping[str, Shape] = {
            each.get_any_name(): tuple(None if size.is_dynamic else size.get_length() for size in each.partial_shape)
            for each in model.inputs
        }
        kinds = {each.get_element_type().get_type_name() for each in model.inputs}
        self.floats = kinds <= {"f32", "boolean"}
        self.notes: Mapping[str, str] = _notes(model, file)
        if precision == "bf16":
            _hide_constants(model)

    def run(self, values: Mapping[str, NDArray[Any]], *, settled: bool = False) -> list[NDArray[Any]]:
        """Return the outputs, in the graph's order; `settled` inputs by a graph compiled for their sizes alone.

        That graph is up to 1.5 times as quick: with free sizes OpenVINO copies features to turn axes that already lie
        right. It takes about a second and a half to compile, and is kept for the SIZES that came last.
        """
        with self._turn:  # the outputs are the request's own: another thread's answer would overwrite them
            try:
                request = self._of_sizes(values) if settled else self._of_any_size()
                request.infer(dict(values))
            except RuntimeError as error:
                raise SessionError(error) from error
            return [np.array(tensor.data) for tensor in request.output_tensors]

    def _of_any_size(self) -> openvino.InferRequest:
        if self._request is None:
            try:
                self._request = self._compiled(self._model)
            except RuntimeError as error:
                reason = SessionError(error)
                msg = f"{self._name}: OpenVINO reads it, but cannot compile it ({reason}); export it again, or "
                raise BrokenModelError(msg + "choose the runtime onnxruntime for an .onnx file") from error
        return self._request

    def _of_sizes(self, values: Mapping[str, NDArray[Any]]) -> openvino.InferRequest:
        sizes = tuple(value.shape for value in values.values())
        if sizes not in self._settled:
            if len(self._settled) == SIZES:
                self._settled.popitem(last=False)
            model = self._model.clone()
            model.reshape({name: list(value.shape) for name, value in values.items()})
            try:
                self._settled[sizes] = self._compiled(model)
            except RuntimeError:
                self._of_any_size()  # fails as well where it is not for these sizes
                raise
        self._settled.move_to_end(sizes)
        return self._settled[sizes]

    def _compiled(self, model: openvino.Model) -> openvino.InferRequest:
        request = openvino_core().compile_model(model, "CPU", self._settings).create_infer_request()
        if any(ONE in each.names for each in model.inputs):
            request.set_tensor(ONE, openvino.Tensor(np.ones((), np.float32)))
        return request


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


def _read(file: GraphFile) -> openvino.Model:
    if file.weights is not None:
        return openvino_core().read_model(file.content, file.weights)
    return openvino_core().read_model(_whole(file) if file.outside else file.content)


def _whole(file: GraphFile) -> bytes:
    """Return an ONNX graph with the weights that it keeps outside put into it: OpenVINO looks for them on the disk."""
    import onnx

    model = onnx.load_model_from_string(file.content)
    for tensor in onnx.external_data_helper._get_all_tensors(model):
        if onnx.external_data_helper.uses_external_data(tensor):
            place = {entry.key: entry.value for entry in tensor.external_data}
            part = file.outside[place["location"]][int(place.get("offset", 0)) :]
            tensor.raw_data = part[: int(place["length"])] if "length" in place else part
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    return bytes(model.SerializeToString())


def _hide_constants(model: openvino.Model) -> None:
    """Multiply by an input that is 1 each constant that stands first in a product, such as MAXIM's mixing of positions.

    OpenVINO computes those products in float32, at half of the speed, whatever precision is asked for.
    """
    products = [each for each in model.get_ordered_ops() if each.get_type_name() == "MatMul"]
    kind = openvino.Type.f32
    firsts = [each.input(0) for each in products if each.get_input_element_type(0) == kind]
    firsts = [each for each in firsts if _is_constant(each.get_source_output())]
    if not firsts:
        return
    one = opset13.parameter([], kind, name=ONE)
    one.output(0).get_tensor().set_names({ONE})
    model.add_parameters([one])
    for first in firsts:
        first.replace_source_output(opset13.multiply(first.get_source_output(), one).output(0))
    model.validate_nodes_and_infer_types()


def _is_constant(output: openvino.Output) -> bool:
    node = output.get_node()
    kind = node.get_type_name()
    return kind == "Constant" or (kind in UNPACKING and all(map(_is_constant, node.input_values())))


def _notes(model: openvino.Model, file: GraphFile) -> dict[str, str]:
    if model.has_rt_info([NOTES]):
        return {key: str(value) for key, value in model.get_rt_info([NOTES]).value.items()}
    if file.weights is not None or len(model.inputs) == 1:  # only a video's step has notes; reading them takes a while
        return {}
    import onnx

    return {note.key: note.value for note in onnx.load_model_from_string(file.content).metadata_props}
