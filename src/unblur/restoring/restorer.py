"""One face for every runtime: a restorer takes and returns a batch of images; `load_restorer` finds the right one."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.restoring.mlflow_reference import fetched_onnx, is_mlflow_reference

EXPECTED = "expected an .onnx file, a .pt2 file, a folder with model.safetensors, or models:/NAME@ALIAS"


class Restorer(Protocol):
    """Takes the blur out of (B, 3, H, W) float32 RGB in [0, 1] and returns the same shape; any H and W from 1 on.

    That is the task "image". With "burst" it takes (B, K, 3, H, W) and returns the first shot, with "video" it takes
    and returns (B, T, 3, H, W), and has `stream` (see `StreamRestorer`). Values may leave [0, 1] a little: whoever
    writes a file clips. `sha256` is that of the file with the weights.
    """

    name: str
    sha256: str
    task: str

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore a batch."""
        ...


@runtime_checkable
class StreamRestorer(Restorer, Protocol):
    """A restorer of video that can take it frame by frame, in memory that does not grow."""

    def stream(self, frames: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield every frame (B, 3, H, W) restored, a few frames later than it is taken."""
        ...


def load_restorer(reference: str | os.PathLike[str], threads: int | None = None) -> Restorer:
    """Load a model; PyTorch is imported only for those that need it, MLflow only for its references.

    Args:
        reference: an .onnx file (ONNX Runtime); a .pt2 file (torch.export); a folder with model.safetensors and
            config.json (PyTorch) or with model.onnx (what MLflow logs); or an MLflow reference to such an ONNX folder:
            `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `runs:/RUN/PATH`.
        threads: threads of one operation; None leaves it to the runtime.

    Raises:
        UnblurError: there is nothing at the reference, or it is no model that can be read.
    """
    if is_mlflow_reference(str(reference)):
        with fetched_onnx(str(reference)) as path:
            return _onnx(path, threads, name=str(reference))
    path = Path(reference)
    if not path.exists():
        msg = f"{path}: no such model; {EXPECTED}"
        raise UnblurError(msg)
    if (path / "model.safetensors").is_file():
        from unblur.restoring.torch_runtime import TorchRestorer

        return TorchRestorer(path, threads)
    if (path / "model.onnx").is_file():
        return _onnx(path / "model.onnx", threads, name=str(path))
    if path.is_file() and path.suffix == ".onnx":
        return _onnx(path, threads, name=path.name)
    if path.is_file() and path.suffix == ".pt2":
        from unblur.restoring.program_runtime import ProgramRestorer

        return ProgramRestorer(path, threads)
    msg = f"{path}: not a model; {EXPECTED}"
    raise UnblurError(msg)


def _onnx(path: Path, threads: int | None, name: str) -> Restorer:
    from unblur.restoring.onnx_runtime import OnnxRestorer, input_names

    if "hidden" in input_names(path, name):
        from unblur.restoring.onnx_stream import OnnxStream

        return OnnxStream(path, threads, name=name)
    return OnnxRestorer(path, threads, name=name)
