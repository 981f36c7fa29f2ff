"""What PyTorch's own int8 (PT2E, torchao) brings, and what its first call costs: why it is no stage of the pipeline.

    make repro && python studies/torch_int8.py [--rounds 3] [--threads 2]

The trained model, quantized with the quantizer for x86 on training crops, compiled and frozen by Inductor; not folded,
as the quantizer fails on a convolution to which a number is added. Beside it PyTorch in float32 and the pipeline's int8
file in OpenVINO. 720 x 1280; the loss is on validation pairs.
"""

import argparse
import itertools
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
from rich.console import Console
from rich.table import Table
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from unblur.config.compose import checked, compose
from unblur.evaluation.fixed_pairs import read_pairs
from unblur.metrics.profiles import get_profile
from unblur.runtimes.restorer import load_restorer
from unblur.training.datamodule import restoration_data
from unblur.training.weights import load_model

SIDE = (720, 1280)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = load_model(Path("artifacts/train/model"))
    compiled = quantized(network)
    file = load_restorer("artifacts/export/trained_int8/model.onnx", options.threads, runtime="openvino")
    runs = {
        "PyTorch": network,
        "PyTorch int8, compiled": compiled,
        "OpenVINO int8": lambda image: torch.from_numpy(file(image.numpy())),
    }
    image, taken, first = torch.rand(1, 3, *SIDE), {name: [] for name in runs}, {}
    with torch.inference_mode():
        for index in range(options.rounds + 1):
            for name, run in runs.items():
                start = time.perf_counter()
                run(image)
                seconds = time.perf_counter() - start
                if index:
                    taken[name].append(seconds)
                else:
                    first[name] = seconds
        pairs = read_pairs(Path("artifacts/prepared"), "val", 4)
        scores = {name: psnr(run, pairs) for name, run in runs.items()}
    table = Table("", "first call, s", "ms", "times as fast", "dB lost on 4 pairs")
    for name, values in taken.items():
        speed, lost = median(taken["PyTorch"]) / median(values), scores["PyTorch"] - scores[name]
        table.add_row(name, f"{first[name]:.1f}", f"{1e3 * median(values):.0f}", f"{speed:.2f}", f"{lost:+.3f}")
    Console().print(table)


def quantized(network: nn.Module) -> nn.Module:
    """Return the network in int8, to be compiled at its first call, for sizes that are multiples of 16."""
    cfg = checked(compose(["experiment=scratch", "data.num_workers=0"]))
    crops = [batch["blur"] for batch in itertools.islice(restoration_data(cfg).train_dataloader(), 4)]
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.export.export(network, (crops[0],), dynamic_shapes=(free,), strict=False)
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(program.module(check_guards=False), quantizer)
    with torch.no_grad():
        for crop in crops:
            prepared(crop)
    torch._inductor.config.freezing = True
    return torch.compile(convert_pt2e(prepared), dynamic=False)


def psnr(run: nn.Module, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the mean PSNR of pairs that are cut to one size, so that nothing is compiled twice."""
    profile = get_profile("psnr/literature")
    values = []
    for blurred, sharp in pairs:
        whole = torch.zeros(1, 3, *SIDE)
        height, width = blurred.shape[-2:]
        whole[..., :height, :width] = torch.from_numpy(blurred)
        restored = run(whole)[..., :height, :width].float().clamp(0, 1)
        values.append(float(profile.compute(restored, torch.from_numpy(sharp)).mean()))
    return float(np.mean(values))


if __name__ == "__main__":
    main()
