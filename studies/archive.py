"""What a photograph of an archive takes, by one process and by Ray: the start, each photograph, and a million on paper.

Run `python studies/archive.py [--photographs 60] [--side 768] [--model box_fast]`. Each engine restores a
quarter of them and all of them, as `unblur restore` in a process of its own; the difference is what a photograph takes,
the rest the start.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

MILLION = 1_000_000
ENGINES = {
    "local, 1 thread": ("--threads", "1"),
    "Ray, 1 worker of 1 thread": ("--threads", "1", "--engine", "ray", "--ray-workers", "1"),
    "Ray, 2 workers of 1 thread": ("--threads", "1", "--engine", "ray", "--ray-workers", "2"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=60)
    parser.add_argument("--side", type=int, default=768, help="of a photograph in pixels")
    parser.add_argument("--model", default="box_fast")
    options = parser.parse_args()
    table = Table("engine", "start s", "a photograph s", "photographs/s", "a million, days")
    with tempfile.TemporaryDirectory() as folder:
        part, whole = Path(folder, "part"), Path(folder, "whole")
        write_archive(part, options.photographs // 4, options.side)
        write_archive(whole, options.photographs, options.side)
        for name, arguments in ENGINES.items():
            few, all_ = (seconds(source, (*arguments, "--model", options.model)) for source in (part, whole))
            each = (all_ - few) / (options.photographs - options.photographs // 4)
            start = all_ - each * options.photographs
            table.add_row(name, f"{start:.1f}", f"{each:.3f}", f"{1 / each:.2f}", f"{MILLION * each / 86400:.1f}")
    Console().print(table)


def write_archive(folder: Path, count: int, side: int) -> None:
    """Write JPEGs of `side` x `side` pixels: soft noise, so that they take what photographs take."""
    folder.mkdir()
    for seed in range(count):
        coarse = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{seed}.jpg", quality=90)


def seconds(source: Path, arguments: tuple[str, ...]) -> float:
    """Restore a folder into a new one, and return the seconds of the whole command."""
    with tempfile.TemporaryDirectory() as target:
        command = [sys.executable, "-m", "unblur", "restore", str(source), f"{target}/", *arguments]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
