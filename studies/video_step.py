"""Milliseconds of one step of ESTRNN, as it is exported, in ONNX Runtime and OpenVINO, interleaved.

    python studies/video_step.py [MODEL ...] [--rounds 6]

Random weights, one thread. A clip goes through each runtime in turn; its first frame is listed apart: that is where a
runtime adapts to the size. The first clip of each size is not counted.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unblur.config.compose import compose
from unblur.config.instantiate import instantiate
from unblur.export.formats import export_model
from unblur.runtimes.graph import GraphStream
from unblur.runtimes.sessions import open_session

WAYS = (("onnxruntime", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
FRAMES = {64: 12, 256: 6}  # of a clip, by its side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["estrnn_tiny", "estrnn_small", "estrnn"])
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("model", "size", "runtime", "a new size, ms", "a clip's first, ms", "others, ms")
    for name in options.models:
        torch.manual_seed(0)
        with TemporaryDirectory() as folder:
            path = export_model(instantiate(compose([f"model={name}"]).model).eval(), "onnx", Path(folder), 18)
            streams = {
                way: GraphStream(open_session(path, name, runtime=way[0], threads=1, precision=way[1]), name, "")
                for way in WAYS
            }
        for side, count in FRAMES.items():
            clip = np.random.default_rng(0).random((count, 1, 3, side, side), dtype=np.float32)
            taken: dict[tuple[str, str], list[list[float]]] = {way: [] for way in WAYS}
            for _ in range(1 + options.rounds):
                for way, stream in streams.items():
                    taken[way].append(steps(stream, clip))
            for way, (new, *clips) in taken.items():
                first, others = median(times[0] for times in clips), median(t for times in clips for t in times[1:])
                table.add_row(name, str(side), " ".join(way), f"{new[0]:.0f}", f"{first:.1f}", f"{others:.1f}")
    Console().print(table)


def steps(stream: GraphStream, clip: np.ndarray) -> list[float]:
    """Return the milliseconds of each frame's step; the frames that come late are not asked for."""
    times = []
    state = None
    for frame in clip:
        start = time.perf_counter()
        _, state = stream._step(frame, stream._empty(frame) if state is None else state, first=state is None)
        times.append(1e3 * (time.perf_counter() - start))
    return times


if __name__ == "__main__":
    main()
