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
from unblur.evaluation.score import framewise, read_pair, score
from unblur.evaluation.score_table import mean_table
from unblur.metrics.profiles import get_profile
from unblur.restoring.torch_runtime import TorchRestorer
from unblur.training.weights import load_model

PRESETS = ("starter", "starter_resunet", "starter_restormer", "starter_uformer", "starter_burst", "starter_video")
PROFILE = "psnr/literature"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
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
            means = mean_table([
                *score("blurred", framewise(lambda batch: batch), rows, pairs, [PROFILE]),
                *score("model", restorer, rows, pairs, [PROFILE]),
            ])  # fmt: skip
            blurred, model = means["blurred"][PROFILE], means["model"][PROFILE]
            cost = complexity(load_model(folder / "model"))
            step = json.loads((folder / "run.json").read_text())
            figures = [f"{blurred:.2f}", f"{model:.2f}", f"{model - blurred:+.2f}", f"{cost.parameters / 1e6:.2f}"]
            table.add_row(
                preset, *figures, f"{cost.macs_256 / 1e9:.2f}", f"{1e3 * step['seconds'] / step['steps']:.0f}"
            )
            notes += sequences(preset, restorer, rows, pairs)
        Console().print(table)
        for note in notes:
            Console().print(note)
        Console().print(latencies({name: work / name / "model" for name in options.presets}, options.rounds))


def trained(preset: str, epochs: int, work: Path) -> Path:
    """Return the folder of the preset's training; pairs are made once for each blur."""
    folder, config = work / preset, work / preset / "pipeline.yaml"
    if not config.is_file():
        paths = [f"paths.train={folder}", f"paths.checkpoints={folder / 'checkpoints'}"]
        overrides = [f"experiment={preset}", "logger=none", f"trainer.max_epochs={epochs}", *paths]
        run("compose", *overrides, "--out", str(config))
        settings = OmegaConf.load(config)
        pairs = work / "pairs" / settings.data.task
        OmegaConf.update(settings, "paths.prepared", str(pairs))
        OmegaConf.save(settings, config)
        if not (pairs / "manifest.csv").is_file():
            run("prepare", "--config", str(config))
    if not (folder / "model" / "config.json").is_file():
        run("train", "--config", str(config))
    return folder


def run(stage: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", f"unblur.stages.{stage}", *arguments], check=True, stdout=sys.stderr)


def test_rows(preset: str, work: Path) -> tuple[list[PairRow], Path]:
    """Return the test pairs that belong to the preset."""
    pairs = Path(OmegaConf.load(work / preset / "pipeline.yaml").paths.prepared)
    return [row for row in read_manifest(pairs) if row.split == "test"], pairs


def sequences(preset: str, restorer: TorchRestorer, rows: list[PairRow], pairs: Path) -> list[str]:
    """Return what bursts of several lengths, and recurrence, bring."""
    profile = get_profile(PROFILE)

    def psnr(restored, sharp) -> float:
        images = [torch.from_numpy(np.clip(each, 0, 1).reshape(-1, *each.shape[-3:])) for each in (restored, sharp)]
        return float(profile.compute(*images).mean())

    read = [read_pair(row, pairs) for row in rows]
    if restorer.task == "burst":
        best = np.mean([max(psnr(blur[:, k], sharp) for k in range(blur.shape[1])) for blur, sharp in read])
        counts = sorted({1, 2, 4, read[0][0].shape[1]})
        by_count = [np.mean([psnr(restorer(blur[:, :count]), sharp) for blur, sharp in read]) for count in counts]
        found = ", ".join(f"{count}: {value:.2f}" for count, value in zip(counts, by_count, strict=True))
        return [f"{preset}: best single shot of each burst {best:.2f} dB; restored from so many shots {found} dB"]
    if restorer.task == "video":
        whole = np.mean([psnr(restorer(blur), sharp) for blur, sharp in read])
        alone = np.mean([
            psnr(np.concatenate([restorer(blur[:, t : t + 1]) for t in range(blur.shape[1])], axis=1), sharp)
            for blur, sharp in read
        ])  # fmt: skip
        return [f"{preset}: {whole:.2f} dB with recurrence and neighbours, {alone:.2f} dB frame by frame"]
    return []


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
