"""Why pruning here takes blocks and channels out: zeros among the weights bring no speed on CPUs.

    make repro && python studies/sparsity.py [--rounds 5]

The trained model, half of whose weights in each convolution are set to zero: the smallest ones, or the smaller two of
every four (2:4); beside it the pruned model of the pipeline. Exported to ONNX, run by OpenVINO in bfloat16 where the
processor has it, 720 x 1280, 2 threads, interleaved. The loss is on the validation pairs, nothing is fine-tuned but the
pipeline's model.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from unblur.evaluation.fixed_pairs import read_pairs
from unblur.export.onnx import export_onnx
from unblur.metrics.profiles import get_profile
from unblur.networks.folding import fold
from unblur.runtimes.restorer import Restorer, load_restorer
from unblur.training.weights import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    trained = load_model(Path("artifacts/train/model"))
    networks = {
        "trained": trained,
        "half of the weights zero": with_zeros(trained, unstructured),
        "2 of 4 weights zero": with_zeros(trained, two_of_four),
        "pruned by blocks and channels": load_model(Path("artifacts/prune/model")),
    }
    with tempfile.TemporaryDirectory() as folder:
        restorers = {name: opened(network, Path(folder) / f"{i}.onnx") for i, (name, network) in
                     enumerate(networks.items())}  # fmt: skip
        image = np.random.default_rng(0).random((1, 3, 720, 1280), dtype=np.float32)
        taken: dict[str, list[float]] = {name: [] for name in restorers}
        for index in range(options.rounds + 1):
            for name, restorer in restorers.items():
                start = time.perf_counter()
                restorer(image)
                if index:
                    taken[name].append(1e3 * (time.perf_counter() - start))
        pairs = read_pairs(Path("artifacts/prepared"), "val", 100)
        scores = {name: psnr(restorer, pairs) for name, restorer in restorers.items()}
    table = Table("model", "weights that are zero", "ms", "times as fast", "dB lost")
    for name, network in networks.items():
        ms = median(taken[name])
        speed, lost = median(taken["trained"]) / ms, scores["trained"] - scores[name]
        table.add_row(name, f"{zeros(network):.0%}", f"{ms:.0f}", f"{speed:.2f}", f"{lost:+.3f}")
    Console().print(table)


def with_zeros(network: nn.Module, mask: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """Return a copy whose convolutions have weights set to zero."""
    sparse = copy.deepcopy(network)
    with torch.no_grad():
        for module in sparse.modules():
            if isinstance(module, nn.Conv2d) and module.groups == 1:
                module.weight.mul_(mask(module.weight))
    return sparse


def unstructured(weight: torch.Tensor) -> torch.Tensor:
    """Keep the larger half."""
    return weight.abs() >= weight.abs().flatten().median()


def two_of_four(weight: torch.Tensor) -> torch.Tensor:
    """Keep the larger two of every four along the inputs; what is left over stays."""
    rows = weight.abs().flatten(1)
    whole = rows.shape[1] // 4 * 4
    mask = torch.ones_like(rows)
    ranks = rows[:, :whole].unflatten(1, (-1, 4)).argsort(-1).argsort(-1)
    mask[:, :whole] = (ranks >= 2).float().flatten(1)
    return mask.view_as(weight)


def opened(network: nn.Module, file: Path) -> Restorer:
    export_onnx(fold(network), file)
    return load_restorer(file, threads=2, runtime="openvino")


def psnr(restorer: Restorer, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    profile = get_profile("psnr/literature")
    images = [(torch.from_numpy(np.clip(restorer(blurred), 0, 1)), torch.from_numpy(sharp)) for blurred, sharp in pairs]
    return float(np.mean([float(profile.compute(*pair).mean()) for pair in images]))


def zeros(network: nn.Module) -> float:
    weights = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups == 1])
    return float((weights == 0).float().mean())


if __name__ == "__main__":
    main()
