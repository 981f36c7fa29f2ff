"""Samples a second of the training loader: blur drawn on the fly against patch size and number of workers.

Run `python studies/loader.py [--data data] [--seconds 4]`. A step faster than its batch is starved.
"""

import argparse
import time
from pathlib import Path

import cv2
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate
from unblur.data.augment import PairedAugment
from unblur.data.datasets import SharpCrops
from unblur.data.manifest import read_sources
from unblur.data.sampling import StatelessSampler

BATCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="data root with SOURCES.json")
    parser.add_argument("--blur", default="starter", help="recipe in conf/blur")
    parser.add_argument("--seconds", type=float, default=4.0, help="measuring time of each row")
    options = parser.parse_args()
    one_thread()
    table = Table("patch", "workers", "samples/s", "ms a sample", title=f"loader, recipe {options.blur}, batch {BATCH}")
    for patch in (64, 96, 128):
        for workers in (0, 1, 2):
            rate = samples_per_second(options, patch, workers)
            table.add_row(str(patch), str(workers), f"{rate:.0f}", f"{1000 / rate:.2f}")
    Console().print(table)


def samples_per_second(options: argparse.Namespace, patch: int, workers: int) -> float:
    """Measure after a warm-up in which every process decodes the photographs."""
    blur = OmegaConf.to_container(OmegaConf.load(config_dir() / "blur" / f"{options.blur}.yaml"))
    crops = SharpCrops(
        [source for source in read_sources(options.data) if source.split == "train"],
        options.data,
        recipe=instantiate(blur),
        augment=PairedAugment(),
        patch_size=patch,
        length=1_000_000,
        seed=0,
    )
    loader = DataLoader(
        crops,
        batch_size=BATCH,
        sampler=StatelessSampler(len(crops)),
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        worker_init_fn=one_thread if workers else None,
    )
    batches = iter(loader)
    for _ in range(60 * max(workers, 1)):
        next(batches)
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < options.seconds:
        count += len(next(batches)["key"])
    return count / passed


def one_thread(worker: int = 0) -> None:
    """Keep OpenCV and torch to one thread a process, as the training loader does."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
