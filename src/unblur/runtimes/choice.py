"""Which runtime and precision a graph is run with: what a benchmark measured fastest, or what the CPU suggests."""

import json
import os
import platform
from pathlib import Path

from unblur.config.extras import is_installed
from unblur.config.root import user_cache
from unblur.safety.atomic import replacing

Choice = tuple[str, str]  # runtime, precision


def choose(sha256: str, runtime: str = "auto", precision: str = "auto", device: str | None = None) -> Choice:
    """Return the runtime and precision for the graph of this SHA-256; what is not "auto" stays.

    On a GPU, and where OpenVINO is not installed, it is ONNX Runtime. On a CPU it is what `remember` wrote down for
    this machine, or else OpenVINO, in bfloat16 where the CPU computes that by itself.
    """
    if runtime == "auto" and (_on_gpu(device) or not (precision == "bf16" or is_installed("openvino"))):
        runtime = "onnxruntime"
    if runtime == "onnxruntime":
        return runtime, "f32" if precision == "auto" else precision
    known = _read().get(_machine(), {}).get(sha256)
    if runtime == "auto" and precision == "auto" and isinstance(known, list) and len(known) == 2:
        return str(known[0]), str(known[1])
    from unblur.runtimes.openvino import has_bf16

    if precision == "auto":
        precision = "bf16" if has_bf16() and runtime == "auto" else "f32"
    return "openvino" if runtime == "auto" else runtime, precision


def remember(sha256: str, runtime: str, precision: str) -> None:
    """Write down what was measured fastest for a graph on this machine."""
    known = _read()
    known.setdefault(_machine(), {})[sha256] = [runtime, precision]
    with replacing(_path()) as unfinished:
        unfinished.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def _on_gpu(device: str | None) -> bool:
    if device is not None:
        return device != "cpu"
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _path() -> Path:
    return user_cache() / "runtimes.json"


def _read() -> dict[str, dict[str, list[str]]]:
    try:
        content = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _machine() -> str:
    """Name the processor as well as the standard library can: a cache may be shared by several machines."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    found = {key: next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "") for key in
             ("model name", "cpu family", "model")}  # fmt: skip
    return " ".join([platform.machine(), *filter(None, found.values()), f"{os.cpu_count()} cores"])
