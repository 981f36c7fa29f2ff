"""Restores with ONNX Runtime; needs neither PyTorch nor MLflow."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file

RUNTIME_ERRORS = (errors.Fail, errors.InvalidArgument, errors.RuntimeException, errors.NotImplemented)
LOAD_ERRORS = (*RUNTIME_ERRORS, errors.InvalidGraph, errors.InvalidProtobuf, errors.NoSuchFile, errors.NoModel)


class OnnxRestorer:
    """An ONNX file with one image or burst in and one image out, on CUDA where ONNX Runtime has it, else on the CPU.

    Raises:
        UnblurError: the file is no ONNX model, or it is not made for float images or bursts of any size.
    """

    def __init__(self, path: Path, threads: int | None = None, name: str | None = None) -> None:
        self.name = name or path.name
        self.sha256 = sha256_file(path)
        self._session = open_session(path, threads, self.name)
        self._input, self.task = self._checked_input()

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1], or the first shot of bursts (B, K, 3, H, W)."""
        try:
            restored: NDArray[np.float32] = self._session.run(None, {self._input: batch})[0]
        except RUNTIME_ERRORS as error:
            msg = f"{self.name}: fails on an input of {batch.shape} ({one_line(error)}); try a smaller --tile"
            raise UnblurError(msg) from error
        return restored

    def _checked_input(self) -> tuple[str, str]:
        """Return the input's name and the task after a look at its type: symbolic sizes are strings or None."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        usable = len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(shape) in (4, 5) and shape[-3] == 3
        if not usable or any(isinstance(size, int) for size in (*shape[1:-3], *shape[-2:])):
            described = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
            msg = f"{self.name}: takes {described}; expected one tensor(float) (batch, 3, height, width) of free size"
            raise UnblurError(msg)
        return str(inputs[0].name), "image" if len(shape) == 4 else "burst"


def open_session(path: Path, threads: int | None, name: str) -> onnxruntime.InferenceSession:
    """Return a session on CUDA where ONNX Runtime has it, else on the CPU; UnblurError if the file is no model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors only
    available = onnxruntime.get_available_providers()
    providers = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in available]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except LOAD_ERRORS as error:
        msg = f"{name}: not an ONNX model that can be run ({one_line(error)}); export it again"
        raise UnblurError(msg) from error


def one_line(error: Exception) -> str:
    """Return what the runtime says, short and on one line."""
    return " ".join(str(error).split())[:200]


def input_names(path: Path, name: str) -> list[str]:
    """Return what the inputs of an ONNX file are called; UnblurError if it is no model."""
    return [each.name for each in open_session(path, 1, name).get_inputs()]
