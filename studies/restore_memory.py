"""Peak memory of `unblur restore` against the size of the photograph, and how far tiles differ from the whole.

Run `python studies/restore_memory.py [--model FILE] [--megapixels 12 50] [--tile 512] [--overlap 64]`.
Without a model a NAFNet of width 16 with random weights is exported to ONNX.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from seams import feathered, seam_jump

from unblur.runtimes.restorer import load_restorer
from unblur.runtimes.tiles import restore_tiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="*", default=[12, 50])
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or random_nafnet(folder / "nafnet.onnx")

        table = Table("megapixels", "peak MiB", "seconds", title="unblur restore, the whole process")
        for megapixels in options.megapixels:
            peak, seconds = peak_memory(model, megapixels, folder, options)
            table.add_row(f"{megapixels:.0f}", f"{peak:.0f}", f"{seconds:.0f}")
        console.print(table)

        table = Table("grey levels of 255", "value", title="3 megapixels: tiled minus whole")
        for line, value in tiled_against_whole(model, options):
            table.add_row(line, f"{value:.4f}")
        console.print(table)


def photograph(megapixels: float, seed: int = 0) -> np.ndarray:
    """Discs, gradients and noise, 3 to 2, (H, W, 3) uint8."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(height * 1.5)
    rng = np.random.default_rng(seed)
    image = np.linspace(0, 200, width, dtype=np.uint8)[None, :, None].repeat(height, 0).repeat(3, 2)
    for _ in range(400):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.circle(image, centre, int(rng.integers(5, height // 6)), colour, -1)
    noise = rng.integers(0, 16, (256, 256, 3), dtype=np.uint8)
    return cv2.add(image, np.tile(noise, (height // 256 + 1, width // 256 + 1, 1))[:height, :width])


def random_nafnet(path: Path) -> Path:
    """Export a NAFNet whose correction has a standard deviation of 5 % on noise, as a trained one has on blur."""
    import torch

    from unblur.export.onnx import export_onnx
    from unblur.networks.nafnet import NAFNet

    torch.manual_seed(0)
    network = NAFNet(width=16, encoder_blocks=[1, 2, 4], middle_blocks=2, decoder_blocks=[1, 1, 1]).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("beta", "gamma")):
                parameter.copy_(torch.randn_like(parameter) * 0.3)
        probe = torch.rand(1, 3, 128, 128)
        scale = 0.05 / (network(probe) - probe).std()
        network.ending.weight *= scale
        network.ending.bias *= scale
    export_onnx(network, path)
    return path


def peak_memory(model: Path, megapixels: float, folder: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Restore one JPEG in a process of its own; MiB and seconds."""
    source = folder / f"{megapixels:.0f}.jpg"
    Image.fromarray(photograph(megapixels)).save(source, quality=90)
    command = [sys.executable, "-m", "unblur.commands.restore", str(source), str(folder / "out.jpg"), "--overwrite"]
    command += ["--model", str(model), "--tile", str(options.tile), "--overlap", str(options.overlap)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--threads", str(options.threads)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"unblur restore failed on {megapixels} megapixels")
    return usage.ru_maxrss / 1024, time.perf_counter() - start


def tiled_against_whole(model: Path, options: argparse.Namespace) -> list[tuple[str, float]]:
    """Compare on floats, so that rounding to bytes hides nothing."""
    restorer = load_restorer(model, options.threads)
    photo = photograph(3, seed=1).astype(np.float32) / 255
    whole = restore_tiled(restorer, photo, tile=1 << 14)
    tiled = restore_tiled(restorer, photo, options.tile, options.overlap)
    difference = (tiled - whole) * 255
    rows = [
        ("the model's correction, standard deviation", float((whole - photo).std() * 255)),
        ("largest difference", float(np.abs(difference).max())),
        ("mean difference", float(np.abs(difference).mean())),
    ]
    for axis, name in enumerate(("rows", "columns")):
        zones = feathered(photo.shape[axis], options.tile, options.overlap)
        seam, elsewhere = seam_jump(difference, zones, axis)
        rows += [(f"largest step at seams between {name}", seam), ("99 % of the steps elsewhere", elsewhere)]
    return rows


if __name__ == "__main__":
    main()
