"""Exchange the model of `unblur serve` again and again under load: failed requests, latency, memory.

Run `python studies/serving_swaps.py [--exchanges 1000] [--clients 2]`. Two convolutional networks of 0.6 MB take turns.
"""

import argparse
import io
import tempfile
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import onnx
import psutil
import uvicorn
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from rich.console import Console
from rich.table import Table

import unblur
from unblur.serving.app import make_app
from unblur.serving.served import Alias, Loaded, Served
from unblur.serving.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_network(Path(folder, f"{seed}.onnx"), seed) for seed in (0, 1)]
        turn = [0]
        alias = Alias(lambda: str(paths[turn[0] % 2]), lambda path: unblur.load(path, threads=1))
        served = Served(Loaded(alias.load(alias.find()), alias.find()), alias, tile=64)
        with running(make_app(served, Settings(waiting=2 * options.clients)), options.port):
            measure(served, turn, options)


def measure(served: Served, turn: list[int], options: argparse.Namespace) -> None:
    over, codes, seconds = threading.Event(), Counter(), []
    photo = encoded(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8))

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{options.port}", timeout=60) as client:
            while not over.is_set():
                start = time.perf_counter()
                try:
                    codes[client.post("/v1/restore", content=photo).status_code] += 1
                except httpx.HTTPError as error:
                    codes[type(error).__name__] += 1
                seconds.append(time.perf_counter() - start)

    clients = [threading.Thread(target=ask) for _ in range(options.clients)]
    for client in clients:
        client.start()
    table = Table("exchanges", "requests", "failed", "p50 ms", "p99 ms", "memory MiB", title="unblur serve")
    for number in range(1, options.exchanges + 1):
        turn[0] = number
        served.look()
        if number % (options.exchanges // 10) == 0:
            failed = sum(count for code, count in codes.items() if code != 200)
            p50, p99 = np.percentile(seconds, (50, 99)) * 1000
            memory = psutil.Process().memory_info().rss / (1 << 20)
            table.add_row(*(f"{value:.0f}" for value in (number, codes.total(), failed, p50, p99, memory)))
    over.set()
    for client in clients:
        client.join()
    Console().print(table, f"exchanged {served.exchanges} times; status codes {dict(codes)}")


class running:  # noqa: N801 (used as a function)
    """A server in a thread of its own."""

    def __init__(self, app, port: int) -> None:
        self.server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> None:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self.thread.join()


def encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_network(path: Path, seed: int) -> Path:
    """Four convolutions of 64 features whose result is added to the input, small enough to pass the self-test."""
    rng = np.random.default_rng(seed)
    widths = (3, 64, 64, 64, 64, 3)
    nodes, weights, last = [], [], "blur"
    for layer, (taken, given) in enumerate(pairwise(widths)):
        kernel = rng.normal(0, 0.02, (given, taken, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel{layer}"))
        nodes.append(helper.make_node("Conv", [last, f"kernel{layer}"], [f"features{layer}"], pads=[1] * 4))
        last = f"features{layer}"
    nodes.append(helper.make_node("Add", ["blur", last], ["restored"]))
    shape = ["batch", 3, "height", "width"]
    ends = [[helper.make_tensor_value_info(end, TensorProto.FLOAT, shape)] for end in ("blur", "restored")]
    graph = helper.make_graph(nodes, "network", *ends, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


if __name__ == "__main__":
    main()
