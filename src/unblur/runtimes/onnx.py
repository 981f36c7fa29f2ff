"""Runs a graph with ONNX Runtime; needs neither PyTorch nor MLflow."""

import os
from collections.abc import Mapping
from typing import Any

import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from unblur.errors import UnblurError
from unblur.runtimes.graph_file import GraphFile
from unblur.runtimes.session import SessionError, Shape

RUN_ERRORS = (errors.Fail, errors.InvalidArgument, errors.RuntimeException, errors.NotImplemented)
LOAD_ERRORS = (*RUN_ERRORS, errors.InvalidGraph, errors.InvalidProtobuf, errors.NoSuchFile, errors.NoModel)
PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}


class OnnxSession:
    """An .onnx file on the CPU, or on CUDA or TensorRT where this ONNX Runtime has them (see `Session`)."""

    def __init__(self, file: GraphFile, threads: int | None, device: str | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _allowed()
        options.log_severity_level = 3  # errors only
        available = onnxruntime.get_available_providers()
        wanted = PROVIDERS[device or "cuda"]
        if device is not None and wanted[0] not in available:
            msg = f"this ONNX Runtime has no {wanted[0]}, it has {', '.join(available)}; install onnxruntime-gpu"
            raise UnblurError(msg)
        providers = [provider for provider in wanted if provider in available]
        if names := list(file.outside):
            parts = [file.outside[name] for name in names]
            options.add_external_initializers_from_files_in_memory(names, parts, [len(part) for part in parts])
        try:
            self._session = onnxruntime.InferenceSession(file.content, options, providers=providers)
        except LOAD_ERRORS as error:
            raise SessionError(error) from error
        found = self._session.get_inputs()
        self.inputs: Mapping[str, Shape] = {
            each.name: tuple(s if isinstance(s, int) else None for s in each.shape) for each in found
        }
        self.floats = all(each.type in {"tensor(float)", "tensor(bool)"} for each in found)
        self.notes: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, values: Mapping[str, NDArray[Any]], *, settled: bool = False) -> list[NDArray[Any]]:
        """Return the outputs, in the graph's order; free sizes cost nothing here, so `settled` changes nothing."""
        try:
            return list(self._session.run(None, dict(values)))
        except RUN_ERRORS as error:
            raise SessionError(error) from error


def _allowed() -> int:
    """Return on how many processors this process may run where that is not all of them, else 0: ONNX Runtime's choice.

    It counts the machine's. In a container of one processor its threads would wait for each other, busily.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return cpus if cpus < (os.cpu_count() or 1) else 0
