"""One face for every runtime: a restorer takes and returns a batch of images; `load_restorer` finds the right one."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unblur.config.extras import install, is_installed
from unblur.errors import MissingPackageError, UnblurError, UsageError
from unblur.runtimes.graph_file import GraphFile, read_graph
from unblur.runtimes.mlflow_reference import fetched_graph, is_mlflow_reference

MOST_THREADS = 1024  # more than processors have; with 20,000 ONNX Runtime is still busy after minutes
EXPECTED = (
    "expected an .onnx, .xml or .pt2 file, a folder with model.safetensors, models:/NAME@ALIAS, or "
    "a name that `unblur models` lists"
)


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


def load_restorer(
    reference: str | os.PathLike[str],
    threads: int | None = None,
    *,
    runtime: str = "auto",
    precision: str = "auto",
    device: str | None = None,
) -> Restorer:
    """Load a model; PyTorch is imported only for those that need it, MLflow only for its references.

    Args:
        reference: an .onnx file; an OpenVINO .xml beside its .bin; a .pt2 file (torch.export) or .aoti.pt2 (compiled);
            a folder with model.safetensors and config.json (PyTorch) or with model.onnx (what MLflow logs); or an
            MLflow reference to such an ONNX folder: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `runs:/RUN/PATH`.
        threads: threads of one operation, 1 to MOST_THREADS; None leaves it to the runtime.
        runtime: onnxruntime or openvino for an .onnx file; auto takes what `unblur benchmark` measured fastest on this
            machine, else OpenVINO. PyTorch's models have PyTorch alone.
        precision: f32 or bf16 of what is not quantized; auto goes with the runtime, and is f32 with PyTorch.
        device: cpu, cuda or tensorrt; None takes a GPU where there is one. PyTorch has cpu, and cuda for a folder.

    Raises:
        UsageError: another number of threads.
        UnblurError: there is nothing at the reference, it is no model that can be read, or what is asked for does not
            go together with it.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        msg = f"--threads {threads}: expected 1 to {MOST_THREADS}"
        raise UsageError(msg)
    choices = runtime, precision, device
    if is_mlflow_reference(str(reference)):
        return _graph(fetched_graph(str(reference)), threads, choices, name=str(reference))
    path = Path(reference)
    if not path.exists():
        msg = f"{path}: no such model; {EXPECTED}"
        raise UnblurError(msg)
    if (path / "model.safetensors").is_file():
        _require_torch(path, runtime, device, devices=("cpu", "cuda"))
        from unblur.runtimes.pytorch import TorchRestorer

        return TorchRestorer(path, threads, bf16=precision == "bf16", device=device)
    if (path / "model.onnx").is_file():
        return _graph(read_graph(path / "model.onnx"), threads, choices, name=str(path))
    if path.is_file() and path.suffix in (".onnx", ".xml"):
        return _graph(read_graph(path), threads, choices, name=path.name)
    if path.is_file() and path.name.endswith(".aoti.pt2"):
        _require_torch(path, runtime, device, precision)
        from unblur.runtimes.aotinductor import CompiledRestorer

        return CompiledRestorer(path, threads)
    if path.is_file() and path.suffix == ".pt2":
        _require_torch(path, runtime, device, precision)
        from unblur.runtimes.pt2 import ProgramRestorer

        return ProgramRestorer(path, threads)
    msg = f"{path}: not a model; {EXPECTED}"
    raise UnblurError(msg)


def _graph(file: GraphFile, threads: int | None, choices: tuple[str, str, str | None], name: str) -> Restorer:
    """Load an ONNX file or OpenVINO's pair of files with the runtime that was asked for, or the best."""
    from unblur.runtimes.choice import choose
    from unblur.runtimes.foreign_layout import is_foreign, read_layout
    from unblur.runtimes.graph import GraphRestorer, GraphStream
    from unblur.runtimes.sessions import open_session

    if file.weights is not None and choices[0] not in ("auto", "openvino"):
        msg = f"{name}: only OpenVINO reads it, not {choices[0]}; give the .onnx file, or leave the runtime out"
        raise UnblurError(msg)
    if choices[0] == "torch":
        msg = f"{name}: an ONNX file runs in onnxruntime or openvino, not in torch; choose one, or leave it out"
        raise UnblurError(msg)
    runtime, precision = choose(file.sha256, *choices)
    session = open_session(file, name, runtime=runtime, threads=threads, precision=precision, device=choices[2])
    if file.weights is None and is_foreign(session.inputs):
        from unblur.runtimes.foreign import ForeignRestorer

        return ForeignRestorer(session, name, file.sha256, read_layout(file.content, name, session.inputs))
    return (GraphStream if "hidden" in session.inputs else GraphRestorer)(session, name, file.sha256)


def _require_torch(
    path: Path, runtime: str, device: str | None, precision: str = "auto", devices: tuple[str, ...] = ("cpu",)
) -> None:
    wrong = [
        choice
        for choice, fits in (
            (f"by {runtime}", runtime in ("auto", "torch")),
            (f"on {device}", device is None or device in devices),
            (f"in {precision}", precision != "bf16"),
        )
        if not fits
    ]
    if wrong:
        msg = f"{path}: is run by PyTorch, on {' or '.join(devices)}, and cannot be run {' '.join(wrong)}; give an "
        raise UnblurError(msg + ".onnx file, or leave the choice out")
    if not is_installed("torch"):
        msg = f"{path}: is run by PyTorch, which is not installed: {install('torch')}, or give an .onnx file"
        raise MissingPackageError(msg)
