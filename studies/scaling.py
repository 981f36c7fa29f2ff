"""What more processes bring: measured here over gloo, predicted for GPUs by a stated model.

    python studies/scaling.py [--processes 1 2 4] [--rounds 15] [OVERRIDE ...]
    python studies/scaling.py --predict-only [--step 0.215] [--gpus 8 64 512]

Measured are steps of `DistributedDataParallel` with the same crops on each process (weak scaling) and the all-reduce of
messages by size. The prediction takes a step's time on one GPU, the bytes of the gradients and the links' speeds:

    time(n) = slowest of n steps + all-reduce that the backward pass does not hide
    all-reduce: reduce-scatter and all-gather within a node, ring all-reduce of the nodes between

What it leaves out: loaders that do not keep up, other traffic on the links, and that larger batches learn differently.
"""

import argparse
import os
import socket
import statistics
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.distributed as dist
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.multiprocessing import start_processes

from unblur.config.compose import checked, compose
from unblur.config.instantiate import instantiate
from unblur.config.schema import PipelineConfig

SIZES = tuple(4**power * 1024 for power in range(1, 8))  # bytes, 4 KiB to 16 MiB


@dataclass(frozen=True)
class Cluster:
    """Assumed: NVIDIA H100 with NVLink (450 GB/s one way), eight a node, and 400 Gbit/s of network a node."""

    gpus: int = 8  # of a node
    inside: float = 450e9  # bytes/s one way of a GPU
    between: float = 50e9  # bytes/s one way of a node
    hop_inside: float = 5e-6  # seconds
    hop_between: float = 20e-6

    def all_reduce(self, size: float, count: int) -> float:
        """Return the seconds of an all-reduce of `size` bytes over `count` GPUs."""
        local, nodes = min(count, self.gpus), -(-count // self.gpus)
        seconds = ring(size, local, self.inside, self.hop_inside)
        return seconds + ring(size, nodes, self.between, self.hop_between)  # a node's GPUs share its network


def ring(size: float, count: int, bandwidth: float, hop: float) -> float:
    """Return the seconds of a ring all-reduce: 2 (n - 1) / n of the bytes, 2 (n - 1) hops."""
    return 2 * (count - 1) / count * size / bandwidth + 2 * (count - 1) * hop


def slowest(count: int, spread: float) -> float:
    """Return the expected largest of `count` step times, each normal with mean 1 and this standard deviation."""
    z = np.linspace(-8, 8, 16001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    below = np.cumsum(density) * (z[1] - z[0])
    largest = float(np.sum(z * count * below ** (count - 1) * density) * (z[1] - z[0])) if count > 1 else 0.0
    return 1 + spread * largest


@dataclass(frozen=True)
class Measurement:
    """Of a number of processes; what is found goes into `folder`."""

    cfg: PipelineConfig
    count: int
    rounds: int
    port: int
    folder: str


def measure(rank: int, what: Measurement) -> None:
    """One process: seconds of steps, and of all-reduces by size."""
    cfg, count = what.cfg, what.count
    warnings.filterwarnings("ignore", message="Grad strides do not match")
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[rank % len(cores)]})
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{what.port}", rank=rank, world_size=count)
    torch.manual_seed(0)
    network: nn.Module = instantiate(cfg.model)
    model = nn.parallel.DistributedDataParallel(network) if count > 1 else network
    optimizer = instantiate(cfg.optimizer)(network.parameters())
    blur = torch.rand(cfg.data.batch_size, 3, cfg.data.patch_size, cfg.data.patch_size)
    steps = []
    for _ in range(what.rounds + 2):
        dist.barrier()
        started = time.perf_counter()
        optimizer.zero_grad()
        (model(blur) - blur).abs().mean().backward()
        optimizer.step()
        steps.append(time.perf_counter() - started)
    messages = []
    for size in SIZES:
        tensor = torch.zeros(size // 4)
        seconds = []
        for _ in range(what.rounds):
            dist.barrier()
            started = time.perf_counter()
            dist.all_reduce(tensor)
            seconds.append(time.perf_counter() - started)
        messages.append(statistics.median(seconds))
    if rank == 0:
        parameters = sum(each.numel() for each in network.parameters())
        torch.save({"steps": steps[2:], "messages": messages, "bytes": 4 * parameters}, Path(what.folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()


def measured(cfg: PipelineConfig, count: int, rounds: int) -> dict:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder:
        start_processes(measure, (Measurement(cfg, count, rounds, port, folder),), count, start_method="fork")
        return torch.load(Path(folder) / "found.pt", weights_only=True)


def show_here(found: dict[int, dict], console: Console) -> None:
    """Steps and messages of this machine; expected is what the model below says of them, with shared cores."""
    cores = len(os.sched_getaffinity(0))
    columns = ["processes", "step, ms", "expected, ms", "spread", "efficiency", "gradients all-reduced, ms"]
    table = Table(*columns, title=f"this machine, {cores} cores: the same batch on each process")
    alone = statistics.median(found[min(found)]["steps"])
    for count, each in found.items():
        step = statistics.median(each["steps"])
        quartiles = np.subtract(*np.percentile(each["steps"], [75, 25])) / step
        message = float(np.interp(each["bytes"], SIZES, each["messages"])) if count > 1 else 0.0
        expected = alone * max(1, count / cores) + message
        figures = (f"{step * 1e3:.0f}", f"{expected * 1e3:.0f}", f"{quartiles:.0%}", f"{alone / step:.0%}")
        table.add_row(str(count), *figures, f"{message * 1e3:.1f}")
    console.print(table)
    table = Table("message", *(f"{count} processes, ms" for count in found if count > 1), title="all-reduce over gloo")
    for index, size in enumerate(SIZES):
        times = (f"{each['messages'][index] * 1e3:.2f}" for count, each in found.items() if count > 1)
        table.add_row(f"{size // 1024} KiB", *times)
    console.print(table)


def show_prediction(given: argparse.Namespace, size: int, console: Console) -> None:
    """The table for GPUs; `size` is the gradients' bytes."""
    cluster, step, crops = Cluster(), given.step, given.crops
    table = Table(
        *("GPUs", "all-reduce, ms", "crops/s", "efficiency", "without overlap", "fixed batch"),
        title=f"predicted for {given.model}: {step} s a step of {crops} crops, {size / 1e6:.1f} MB of gradients",
    )
    batch = crops * max(given.gpus) // 16  # of all GPUs together
    for count in given.gpus:
        message = cluster.all_reduce(size, count)

        def seconds(compute: float, hidden: float, message: float = message, count: int = count) -> float:
            return compute * slowest(count, given.spread) + max(0.0, message - hidden)

        weak, exposed = seconds(step, step / 2), seconds(step, 0)
        share = step * batch / count / crops  # the same batch in all, shared out
        strong = (step * batch / crops) / (count * seconds(share, share / 2))
        table.add_row(
            str(count), f"{message * 1e3:.2f}", f"{crops * count / weak:,.0f}",
            f"{step / weak:.1%}", f"{step / exposed:.1%}", f"{strong:.1%}",
        )  # fmt: skip
    console.print(table)
    console.print(f"fixed batch: {batch} crops in all, a step's time taken as proportional to the crops of a GPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--predict-only", action="store_true")
    parser.add_argument("--step", type=float, default=0.215, help="measured seconds of a step on one GPU")
    parser.add_argument("--crops", type=int, default=16, help="of that step")
    parser.add_argument("--model", default="maxim_half", help="whose gradients the prediction is for")
    parser.add_argument("--spread", type=float, default=0.01, help="standard deviation of a step's time, over its mean")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64, 512])
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    console = Console(width=120)
    if not arguments.predict_only:
        given = ["model=nafnet_small", "data.batch_size=2", "data.patch_size=96", *arguments.overrides]
        cfg = checked(compose(given))
        show_here({count: measured(cfg, count, arguments.rounds) for count in arguments.processes}, console)
    network: nn.Module = instantiate(checked(compose([f"model={arguments.model}"])).model)
    size = 4 * sum(each.numel() for each in network.parameters())
    show_prediction(arguments, size, console)


if __name__ == "__main__":
    main()
