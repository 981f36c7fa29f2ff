"""Milliseconds of a training step of every starter preset in float32 and under bfloat16 autocast, interleaved.

    python studies/training_precision.py [PRESET ...] [--rounds 5]

Forward, loss and backward on one batch of the preset's size, one thread. The ratio says what `trainer.precision` should
be on processors like this one.
"""

import argparse
import time
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from unblur.config.compose import checked, compose
from unblur.config.instantiate import instantiate
from unblur.config.schema import PipelineConfig
from unblur.training.module import as_images

PRESETS = ("starter", "starter_resunet", "starter_restormer", "starter_uformer", "starter_burst", "starter_video")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("preset", "float32, ms", "bfloat16, ms", "bfloat16 is faster", "the preset says")
    for preset in options.presets:
        cfg = checked(compose([f"experiment={preset}"]))
        network, loss = instantiate(cfg.model).to(memory_format=torch.channels_last), instantiate(cfg.loss)
        blur, sharp = batch(cfg)
        taken: dict[bool, list[float]] = {False: [], True: []}
        for index in range(options.rounds + 1):
            for bf16, times in taken.items():
                seconds = step(network, loss, blur, sharp, bf16)
                if index:
                    times.append(seconds)
        full, half = (1e3 * median(taken[bf16]) for bf16 in (False, True))
        table.add_row(preset, f"{full:.0f}", f"{half:.0f}", f"{full / half:.2f}x", str(cfg.trainer["precision"]))
    Console().print(table)


def batch(cfg: PipelineConfig) -> tuple[Tensor, Tensor]:
    """Return random images of the preset's task and size."""
    image = (3, cfg.data.patch_size, cfg.data.patch_size)
    frames = () if cfg.data.task == "image" else (cfg.data.frames,)
    blur = torch.rand(cfg.data.batch_size, *frames, *image)
    return blur, blur[:, 0].clone() if cfg.data.task == "burst" else blur.clone()


def step(network: nn.Module, loss: nn.Module, blur: Tensor, sharp: Tensor, bf16: bool) -> float:
    """Return the seconds of a forward and a backward pass."""
    network.zero_grad()
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        restored = network(blur)
    loss(as_images(restored.float()), as_images(sharp)).backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
