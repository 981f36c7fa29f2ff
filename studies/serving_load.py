"""Load `unblur serve`: throughput beside the bare runtime's, latencies at saturation, memory over many requests, size.

Run `python studies/serving_load.py [--model box] [--rounds 5] [--clients 4] [--requests 10000]`, or with `--sizing 3`
what photographs of 12 megapixels cost with each model in the box: core seconds, which other work on the machine changes
little, and memory. Rounds of the bare runtime and of the server follow each other, so that both see the same machine.
The many requests go to a network of 0.6 MB, as it is not the network whose memory may grow.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table
from serving_swaps import encoded, write_network
from skimage import data

import unblur

SIDE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="box")
    parser.add_argument("--threads", type=int, default=2, help="of the runtime, here and there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=8, help="in a round")
    parser.add_argument("--clients", type=int, default=4, help="that ask at once")
    parser.add_argument("--requests", type=int, default=10000, help="of the memory's table; 0 leaves it out")
    parser.add_argument("--port", type=int, default=8766)
    parser.add_argument(
        "--sizing", type=int, default=0, help="photographs of 12 megapixels for each model, and no more"
    )
    options = parser.parse_args()
    if options.sizing:
        sizing(options)
        return
    throughput(options)
    if options.requests:
        memory(options)


def throughput(options: argparse.Namespace) -> None:
    photo = data.astronaut()[:SIDE, :SIDE]
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=95)
    restorer = unblur.load(options.model, threads=options.threads).restorer
    batch = (photo.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    restorer(batch)
    bare, served, seconds = [], [], []
    with Server(options, "--model", options.model, "--threads", str(options.threads)) as server:
        ask(server, stream.getvalue(), 2, 1)
        for _ in range(options.rounds):
            start = time.perf_counter()
            for _ in range(options.photos):
                restorer(batch)
            bare.append(options.photos / (time.perf_counter() - start))
            start = time.perf_counter()
            codes, each = ask(server, stream.getvalue(), options.photos, options.clients)
            served.append(codes[200] / (time.perf_counter() - start))
            seconds += each
    table = Table(title=f"{options.model}, {SIDE} x {SIDE} JPEG, {options.threads} threads, {options.clients} clients")
    for heading in ("bare runtime/s", "server/s", "server to bare", "p50 s", "p99 s", "p99 to p50"):
        table.add_column(heading, justify="right")
    ratio = float(np.median(np.array(served) / np.array(bare)))
    p50, p99 = np.percentile(seconds, (50, 99))
    figures = (np.median(bare), np.median(served), ratio, p50, p99, p99 / p50)
    table.add_row(*(f"{figure:.2f}" for figure in figures))
    Console().print(table)


def memory(options: argparse.Namespace) -> None:
    photo = encoded(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8))
    table = Table("requests", "failed", "p50 ms", "p99 ms", "memory MiB", title="many requests")
    codes: Counter[object] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        network = write_network(Path(folder, "network.onnx"), 0)
        with Server(options, "--model", str(network), "--threads", "1") as server:
            for _ in range(10):
                found, seconds = ask(server, photo, options.requests // 10, options.clients)
                codes += found
                p50, p99 = np.percentile(seconds, (50, 99)) * 1000
                failed = codes.total() - codes[200]
                row = (codes.total(), failed, p50, p99, server.memory())
                table.add_row(*(f"{value:.0f}" for value in row))
    Console().print(table, f"status codes {dict(codes)}")


def sizing(options: argparse.Namespace) -> None:
    """Show what a photograph of 12 megapixels costs; `--threads 1` keeps the runtime to a core."""
    photo = cv2.resize(data.astronaut(), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).normal(0, 2, photo.shape)
    stream = io.BytesIO()
    Image.fromarray(np.clip(photo + noise, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
    table = Table(title=f"JPEG of 4000 x 3000, {len(stream.getvalue()) / (1 << 20):.1f} MiB, {options.threads} threads")
    headings = ("seconds", "core seconds", "an hour a core", "cores for 1 a minute", "for 10", "MiB idle", "MiB most")
    for heading in ("model", *headings):
        table.add_column(heading, justify="right" if heading != "model" else "left")
    for model in ("box", "box_medium", "box_fast"):
        more = ("--model", model, "--threads", str(options.threads), "--seconds", "3600")
        with Server(options, *more) as server, Peak(server) as peak:
            idle, start = server.memory(), server.core_seconds()
            _, seconds = ask(server, stream.getvalue(), options.sizing, 1)
            used = (server.core_seconds() - start) / options.sizing
        figures = (np.median(seconds), used, 3600 / used, used / 60, used / 6, idle, peak.most)
        table.add_row(model, *(f"{figure:.{2 if figure < 10 else 0}f}" for figure in figures))
    Console().print(table)


class Peak(threading.Thread):
    """Looks ten times a second how much memory a server takes."""

    def __init__(self, server: "Server") -> None:
        super().__init__(daemon=True)
        self.server, self.most, self.ended = server, 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self.most = max(self.most, self.server.memory())

    def __enter__(self) -> "Peak":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.join()


class Server:
    """`unblur serve` in a process of its own, with room for all clients in its queue."""

    def __init__(self, options: argparse.Namespace, *more: str) -> None:
        self.address = f"http://127.0.0.1:{options.port}"
        self.command = [sys.executable, "-m", "unblur", "serve", "--port", str(options.port)]
        self.command += ["--queue", str(options.clients), *more]

    def __enter__(self) -> "Server":
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        while self.process.poll() is None:
            try:
                httpx.get(f"{self.address}/readyz").raise_for_status()
                return self
            except httpx.HTTPError:
                time.sleep(0.1)
        sys.exit("the server has not started")

    def memory(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / (1 << 20)

    def core_seconds(self) -> float:
        used = psutil.Process(self.process.pid).cpu_times()
        return used.user + used.system

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        if self.process.wait() != 0:
            sys.exit(f"the server ended with exit code {self.process.returncode}")


def ask(server: Server, content: bytes, count: int, clients: int) -> tuple[Counter[object], list[float]]:
    """Send `count` requests from so many clients; return the status codes, and the seconds of each."""
    codes: Counter[object] = Counter()
    seconds: list[float] = []
    left = iter(range(count))  # its next() is one step of the interpreter

    def client() -> None:
        with httpx.Client(base_url=server.address, timeout=3600) as http:
            for _ in left:
                start = time.perf_counter()
                try:
                    codes[http.post("/v1/restore", content=content).status_code] += 1
                except httpx.HTTPError as error:
                    codes[type(error).__name__] += 1
                seconds.append(time.perf_counter() - start)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes, seconds


if __name__ == "__main__":
    main()
