"""From a graph's file to a session: which runtime, precision and device go together."""

from unblur.config.extras import install, is_installed
from unblur.errors import MissingPackageError, UnblurError
from unblur.runtimes.graph_file import GraphFile
from unblur.runtimes.session import Session, SessionError

RUNTIMES = ("onnxruntime", "openvino")
PRECISIONS = ("f32", "bf16")
DEVICES = ("cpu", "cuda", "tensorrt")


def open_session(
    file: GraphFile, name: str, *, runtime: str, threads: int | None, precision: str = "f32", device: str | None = None
) -> Session:
    """Load a graph.

    Args:
        file: an .onnx file, or, with OpenVINO, an .xml beside its .bin (`read_graph`).
        name: what errors call it.
        runtime: one of RUNTIMES.
        threads: of one operation; None leaves it to the runtime.
        precision: of what is not quantized; bf16 with OpenVINO alone.
        device: one of DEVICES; None takes CUDA where ONNX Runtime has it, else the CPU.

    Raises:
        UnblurError: the choices do not go together, or the file is no model.
    """
    for choice, known, what in (
        (runtime, RUNTIMES, "runtime"),
        (precision, PRECISIONS, "precision"),
        (device or "cpu", DEVICES, "device"),
    ):
        if choice not in known:
            msg = f"unknown {what} {choice!r}; known: {', '.join(known)}"
            raise UnblurError(msg)
    try:
        if runtime == "openvino":
            if device not in (None, "cpu"):
                msg = f"OpenVINO runs on the CPU here, not on {device}; choose the runtime onnxruntime"
                raise UnblurError(msg)
            if not is_installed("openvino"):
                msg = f"{name}: needs OpenVINO, which is not installed: {install('openvino')}"
                raise MissingPackageError(msg)
            from unblur.runtimes.openvino import OpenVinoSession

            return OpenVinoSession(file, threads, precision, name)
        if precision != "f32":
            msg = f"ONNX Runtime computes in the file's own precision, not in {precision}; choose the runtime openvino"
            raise UnblurError(msg)
        from unblur.runtimes.onnx import OnnxSession

        return OnnxSession(file, threads, device)
    except SessionError as error:
        kind = "ONNX" if file.weights is None else "OpenVINO"
        msg = f"{name}: not an {kind} model that can be run ({error}); export it again"
        raise UnblurError(msg) from error
