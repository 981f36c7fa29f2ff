"""How much faster networks are as they are deployed: exported, folded, in OpenVINO, in bfloat16 and in int8.

    python studies/deployed.py [MODEL ...] [--threads 2] [--rounds 3] [--height 720] [--width 1280]

Names of conf/model/. Weights are random: the speed does not depend on them, what is lost does (`unblur benchmark`).
The first column is PyTorch in float32 without any setting; every row is from rounds that run all columns in turn. The
last two are of the fastest: seconds from the file to a loaded model, and of its first image.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from torch import nn

from unblur.compression.graph_parts import quantizable
from unblur.compression.quantize import quantize
from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate
from unblur.export.onnx import export_onnx
from unblur.networks.folding import fold
from unblur.runtimes.restorer import Restorer, load_restorer

MODELS = ("nafnet_small", "nafnet", "resunet_s", "resunet_m", "restormer_small", "uformer_small")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--width", type=int, default=1280)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image = np.random.default_rng(0).random((1, 3, options.height, options.width), dtype=np.float32)
    title = f"{options.width}x{options.height}, {options.threads} threads, medians of {options.rounds} rounds"
    columns = "model", "M", "PyTorch, ms", "ONNX Runtime", "OpenVINO", "OpenVINO bf16", "int8 and bf16"
    table = Table(*columns, "load, s", "first, s", title=title)
    for name in options.models:
        network = random_network(name)
        with tempfile.TemporaryDirectory() as folder:
            runs = {"PyTorch": network} | deployed(network, Path(folder), options.threads)
            taken: dict[str, list[float]] = {each: [] for each in runs}
            first: dict[str, float] = {}
            for index in range(options.rounds + 1):
                for each, run in runs.items():
                    seconds = timed(run, image)
                    if index:
                        taken[each].append(seconds)
                    else:
                        first[each] = seconds
            ms = {each: 1e3 * median(values) for each, values in taken.items()}
            best = min(runs, key=lambda each: ms[each])
            start = time.perf_counter()
            if best != "PyTorch":
                opened(Path(folder), best, options.threads)
            load = time.perf_counter() - start
        cells = [f"{ms[each]:.0f} ({ms['PyTorch'] / ms[each]:.1f}x)" for each in list(runs)[1:]]
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        row = [name, f"{millions:.2f}", f"{ms['PyTorch']:.0f}", *cells, f"{load:.1f}", f"{first[best]:.1f}"]
        table.add_row(*row)
        Console().print(" ".join(row))
    Console(width=140).print(table)


def random_network(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = instantiate(OmegaConf.to_container(OmegaConf.load(config_dir() / "model" / f"{name}.yaml"))).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network


def deployed(network: nn.Module, folder: Path, threads: int) -> dict[str, Restorer]:
    """Export the network, quantize it, and open what came out in every runtime."""
    export_onnx(fold(network), folder / "float.onnx")
    graph = onnx.load(folder / "float.onnx")
    rng = np.random.default_rng(1)
    inputs = [{"blur": rng.random((1, 3, 128, 128), dtype=np.float32)} for _ in range(2)]
    onnx.save(quantize(graph, quantizable(graph), inputs), folder / "int8.onnx")
    return {name: opened(folder, name, threads) for name in ("ONNX Runtime", "OpenVINO", "OpenVINO bf16", "int8")}


def opened(folder: Path, name: str, threads: int) -> Restorer:
    file = folder / ("int8.onnx" if name == "int8" else "float.onnx")
    runtime = "onnxruntime" if name == "ONNX Runtime" else "openvino"
    precision = "f32" if name in ("ONNX Runtime", "OpenVINO") else "bf16"
    return load_restorer(file, threads, runtime=runtime, precision=precision, device="cpu")


def timed(run: "nn.Module | Restorer", image: np.ndarray) -> float:
    start = time.perf_counter()
    if isinstance(run, nn.Module):
        with torch.inference_mode():
            run(torch.from_numpy(image))
    else:
        run(image)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
