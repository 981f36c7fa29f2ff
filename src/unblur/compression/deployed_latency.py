"""How long a network takes where it is deployed: exported, folded, in OpenVINO."""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from torch import nn

from unblur.export.onnx import export_onnx
from unblur.networks.description import describe
from unblur.networks.folding import fold
from unblur.runtimes.graph import GraphRestorer, GraphStream
from unblur.runtimes.openvino import has_bf16
from unblur.runtimes.sessions import open_session

FRAMES = 4
"""Of the clip or burst that is timed."""


def deployed_latency(
    network: nn.Module, threads: int | None, height: int = 256, width: int = 256, runs: int = 9
) -> float:
    """Return the median milliseconds of restoring one image, or a clip or burst of four, after two runs to warm up.

    In bfloat16 where the processor computes it.
    """
    with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(fold(network), file)
        precision = "bf16" if has_bf16() else "f32"
        session = open_session(file, file.name, runtime="openvino", threads=threads, precision=precision)
    restorer = (GraphStream if "hidden" in session.inputs else GraphRestorer)(session, "network", "")
    frames = () if describe(network).task == "image" else (FRAMES,)
    image = np.random.default_rng(0).random((1, *frames, 3, height, width), dtype=np.float32)
    taken = []
    for _ in range(2 + runs):
        start = time.perf_counter()
        restorer(image)
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken[2:])
