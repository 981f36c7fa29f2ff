"""Every network on its starter preset: gain on the test pairs, size, cost, training step and latency, from one run.

    unblur data starter && python benchmarks/networks.py [PRESET ...] [--epochs 4] [--keep FOLDER]

Trained for `--epochs` of 250 steps each, on one thread; presets of one task share their pairs. Latency: PyTorch, 720 x
1280, 2 threads, median of interleaved rounds; of a video each frame, of a burst all its shots.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from unblur.benchmark.complexity import complexity
from unblur.data.manifest import PairRow, read_manifest
from unblur.evaluation.score import Batch, Restore, framewise, read_pair, score
from unblur.evaluation.score_table import mean_table
from unblur.metrics.profiles import get_profile
from unblur.restoring.torch_runtime import TorchRestorer
from unblur.training.weights import load_model

PRESETS = {
    "starter": [],
    "starter_resunet": [],
    "starter_restormer": [],
    "starter_uformer": [],
    "starter_burst": [],
    "starter_video": [],
    "starter_video/alone": ["data.frames=1"],  # the same network, trained and run on single frames: no recurrence
}
SHOTS = 8  # of the bursts that are restored; trained with what the preset says
PROFILE = "psnr/literature"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--epochs", type=int, default=4, help="of 250 steps")
    parser.add_argument("--rounds", type=int, default=3, help="of the latencies")
    parser.add_argument("--keep", type=Path, help="folder for pairs and models; models there are not trained again")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        work = (options.keep or Path(temporary)).resolve()
        table = Table(
            "preset", "blurred", "model", "gain, dB", "M", "GMACs", "ms a step", title=f"{PROFILE}, test pairs"
        )
        notes = []
        for preset in options.presets:
            folder = trained(preset, options.epochs, work)
            rows, pairs = test_rows(preset, work)
            restorer = TorchRestorer(folder / "model", threads=1)
            restore = one_by_one(restorer) if preset.endswith("/alone") else restorer
            means = mean_table([
                *score("blurred", framewise(lambda batch: batch), rows, pairs, [PROFILE]),
                *score("model", restore, rows, pairs, [PROFILE]),
            ])  # fmt: skip
            blurred, model = means["blurred"][PROFILE], means["model"][PROFILE]
            cost = complexity(load_model(folder / "model"))
            step = json.loads((folder / "run.json").read_text())
            figures = [f"{blurred:.2f}", f"{model:.2f}", f"{model - blurred:+.2f}", f"{cost.parameters / 1e6:.2f}"]
            table.add_row(
                preset, *figures, f"{cost.macs_256 / 1e9:.2f}", f"{1e3 * step['seconds'] / step['steps']:.0f}"
            )
            notes += bursts(preset, restorer, rows, pairs) if restorer.task == "burst" else []
        Console().print(table)
        for note in notes:
            Console().print(note)
        Console().print(
            latencies({name: work / name / "model" for name in options.presets if "/" not in name}, options.rounds)
        )


def trained(preset: str, epochs: int, work: Path) -> Path:
    """Return the folder of the preset's training; pairs are made once for each blur."""
    folder, config = work / preset, work / preset / "pipeline.yaml"
    if not config.is_file():
        paths = [f"paths.train={folder}", f"paths.checkpoints={folder / 'checkpoints'}"]
        own = [f"experiment={preset.removesuffix('/alone')}", *PRESETS[preset]]
        overrides = [*own, "logger=none", f"trainer.max_epochs={epochs}", *paths]
        run("compose", *overrides, "--out", str(config))
        settings = OmegaConf.load(config)
        settings.paths.prepared = str(work / "pairs" / settings.data.task)
        OmegaConf.save(settings, config)
    settings = OmegaConf.load(config)
    if not (Path(settings.paths.prepared) / "manifest.csv").is_file():
        shots = [f"data.frames={SHOTS}"] if settings.data.task == "burst" else []
        overrides = [f"experiment={preset}", *shots, f"paths.prepared={settings.paths.prepared}"]
        run("compose", *overrides, "--out", str(folder / "pairs.yaml"))
        run("prepare", "--config", str(folder / "pairs.yaml"))
    if not (folder / "model" / "config.json").is_file():
        run("train", "--config", str(config))
    return folder


def run(stage: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", f"unblur.stages.{stage}", *arguments], check=True, stdout=sys.stderr)


def test_rows(preset: str, work: Path) -> tuple[list[PairRow], Path]:
    """Return the test pairs that belong to the preset."""
    pairs = Path(OmegaConf.load(work / preset / "pipeline.yaml").paths.prepared)
    return [row for row in read_manifest(pairs) if row.split == "test"], pairs


def one_by_one(restorer: TorchRestorer) -> Restore:
    """Return what restores each frame of a clip as if there were no other."""
    return framewise(lambda batch: restorer(batch[:, None])[:, 0])


def bursts(preset: str, restorer: TorchRestorer, rows: list[PairRow], pairs: Path) -> list[str]:
    """Return what bursts of several lengths bring, beside the best single shot of each."""
    profile = get_profile(PROFILE)

    def psnr(restored: Batch, sharp: Batch) -> float:
        images = [torch.from_numpy(np.clip(each, 0, 1)) for each in (restored, sharp)]
        return float(profile.compute(*images).mean())

    read = [read_pair(row, pairs) for row in rows]
    notes = []
    for count in (1, 2, 4, SHOTS):
        best = np.mean([max(psnr(blur[:, k], sharp) for k in range(count)) for blur, sharp in read])
        alone = np.mean([max(psnr(restorer(blur[:, k : k + 1]), sharp) for k in range(count)) for blur, sharp in read])
        merged = np.mean([psnr(restorer(blur[:, :count]), sharp) for blur, sharp in read])
        notes.append(
            f"{preset}, {count} shots: restored {merged:.2f} dB; best single shot {best:.2f} dB as it is, "
            f"{alone:.2f} dB restored alone"
        )
    return notes


def latencies(models: dict[str, Path], rounds: int) -> Table:
    """Return the median milliseconds of each network for 720 x 1280, in rounds that rotate."""
    restorers = {name: TorchRestorer(path, threads=2) for name, path in models.items()}
    image = np.random.default_rng(0).random((1, 3, 720, 1280), dtype=np.float32)
    taken: dict[str, list[float]] = {name: [] for name in restorers}
    for index in range(rounds + 1):
        for name, restorer in restorers.items():
            batch = image if restorer.task == "image" else np.repeat(image[:, None], 4, axis=1)
            start = time.perf_counter()
            restorer(batch)
            seconds = time.perf_counter() - start
            if index:
                taken[name].append(seconds / (4 if restorer.task == "video" else 1))
    table = Table("preset", "ms at 720 x 1280")
    for name, values in taken.items():
        table.add_row(name, f"{1e3 * median(values):.0f}")
    return table


if __name__ == "__main__":
    main()
