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
    """An ONNX file with one image in and one image out, on CUDA where ONNX Runtime has it, else on the CPU.

    Raises:
        UnblurError: the file is no ONNX model, or it is not made for (B, 3, H, W) float images of any size.
    """

    def __init__(self, path: Path, threads: int | None = None, name: str | None = None) -> None:
        self.name = name or path.name
        self.sha256 = sha256_file(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3  # errors only
        available = onnxruntime.get_available_providers()
        providers = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in available]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except LOAD_ERRORS as error:
            msg = f"{self.name}: not an ONNX model that can be run ({_one_line(error)}); export it again"
            raise UnblurError(msg) from error
        self._input = self._checked_input()

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1]."""
        try:
            restored: NDArray[np.float32] = self._session.run(None, {self._input: batch})[0]
        except RUNTIME_ERRORS as error:
            msg = f"{self.name}: fails on an input of {batch.shape} ({_one_line(error)}); try a smaller --tile"
            raise UnblurError(msg) from error
        return restored

    def _checked_input(self) -> str:
        """Return the input's name after a look at its type: symbolic sizes are strings or None."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        usable = len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(shape) == 4 and shape[1] == 3
        if not usable or isinstance(shape[2], int) or isinstance(shape[3], int):
            described = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
            msg = f"{self.name}: takes {described}; expected one tensor(float) (batch, 3, height, width) of free size"
            raise UnblurError(msg)
        return str(inputs[0].name)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
