"""Every network on its starter preset: gain on the test pairs, size, cost, training step and latency, from one run.

    unblur data starter && python studies/networks.py [PRESET ...] [--minutes 2] [--keep FOLDER]

Every network is trained for the same time: as many epochs of 250 steps as fit into `--minutes` of its own steps, or
`--epochs` for all. Presets of one task share their pairs. A step is forward, loss and backward on one thread in the
preset's precision, without the making of its crops. Latency: PyTorch, float32, 720 x 1280, `--threads`; of a video each
frame, of a burst all its shots. Both are medians of interleaved rounds.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from training_precision import batch, step

from unblur.benchmark.complexity import complexity
from unblur.cli import COMMANDS
from unblur.config.compose import checked, compose
from unblur.config.instantiate import instantiate
from unblur.data.manifest import PairRow, read_manifest
from unblur.evaluation.fixed_pairs import Batch, Restore, read_pair
from unblur.evaluation.score import framewise, score
from unblur.evaluation.score_table import mean_table
from unblur.metrics.profiles import get_profile
from unblur.networks.alignment import SCALES, aligned
from unblur.networks.layers import crop, pad_to_multiple
from unblur.runtimes.pytorch import TorchRestorer
from unblur.training.precision import resolve_precision
from unblur.training.weights import load_model

PRESETS = {
    "scratch": [],
    "starter_resunet": [],
    "starter_resunet/small": ["model=resunet_s"],
    "starter_resunet/large": ["model=resunet_l"],
    "starter_restormer": [],
    "starter_uformer": [],
    "starter_burst": [],
    "starter_video": [],
    "starter_video/alone": ["data.frames=1"],  # the same network, trained and run on single frames: no recurrence
}
SHOTS = 8  # of the bursts that are restored; trained with what the preset says
PROFILE = "psnr/literature"


STEPS = 250  # of an epoch


class Figures(NamedTuple):
    """What a preset's training came to; minutes and seconds of a step belong to this machine."""

    epochs: int
    minutes: float
    blurred: float
    model: float
    notes: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--minutes", type=float, default=2.0, help="of training steps, for each preset")
    parser.add_argument("--epochs", type=int, help="of 250 steps, for each preset, instead of --minutes")
    parser.add_argument("--rounds", type=int, default=5, help="of steps and latencies")
    parser.add_argument("--threads", type=int, default=1, help="of the latencies")
    parser.add_argument("--keep", type=Path, help="folder for pairs, models and scores; what is there stays")
    options = parser.parse_args()
    steps = step_seconds(options.presets, options.rounds)
    console = Console(width=140)
    with TemporaryDirectory() as temporary:
        work = (options.keep or Path(temporary)).resolve()
        found = {}
        for preset, seconds in steps.items():
            epochs = options.epochs or max(1, round(60 * options.minutes / (STEPS * seconds)))
            found[preset] = scored(preset, epochs, work)
            console.print(preset, found[preset], highlight=False)
        taken = latencies({preset: work / preset / "model" for preset in steps}, options.rounds, options.threads)
        columns = ("preset", "epochs", "minutes", "blurred, dB", "model, dB", "gain, dB", "M", "GMACs", "step, ms")
        table = Table(*columns, "720p, ms", title=f"{PROFILE}, test pairs")
        for preset, figures in found.items():
            cost = complexity(load_model(work / preset / "model"))
            gain = figures.model - figures.blurred
            quality = [f"{figures.blurred:.2f}", f"{figures.model:.2f}", f"{gain:+.2f}"]
            size = [f"{cost.parameters / 1e6:.2f}", f"{cost.macs_256 / 1e9:.2f}"]
            times = [f"{1e3 * steps[preset]:.0f}", f"{1e3 * taken[preset]:.0f}"]
            table.add_row(preset, str(figures.epochs), f"{figures.minutes:.1f}", *quality, *size, *times)
        console.print(table)
        for note in [note for figures in found.values() for note in figures.notes]:
            console.print(note, highlight=False)


def settings_of(preset: str) -> list[str]:
    """Return the overrides of a preset and its variant."""
    return [f"experiment={preset.partition('/')[0]}", *PRESETS[preset]]


def step_seconds(presets: list[str], rounds: int) -> dict[str, float]:
    """Return the median seconds of a training step of each preset, in rounds that rotate, on one thread."""
    torch.set_num_threads(1)
    made = {}
    for preset in presets:
        cfg = checked(compose(settings_of(preset)))
        network = instantiate(cfg.model).to(memory_format=torch.channels_last)
        bf16 = resolve_precision(str(cfg.trainer["precision"]), "cpu") == "bf16-mixed"
        made[preset] = (network, instantiate(cfg.loss), *batch(cfg), bf16)
    taken: dict[str, list[float]] = {preset: [] for preset in presets}
    for index in range(rounds + 1):
        for preset, parts in made.items():
            seconds = step(*parts)
            if index:
                taken[preset].append(seconds)
    return {preset: median(values) for preset, values in taken.items()}


def scored(preset: str, epochs: int, work: Path) -> Figures:
    """Train the preset and restore the test pairs, unless that is kept."""
    kept = work / preset / "figures.json"
    if kept.is_file():
        return Figures(**json.loads(kept.read_text()))
    folder = trained(preset, epochs, work)
    run = json.loads((folder / "run.json").read_text())
    rows, pairs = test_rows(preset, work)
    restorer = TorchRestorer(folder / "model", threads=1)
    restore = one_by_one(restorer) if preset.endswith("/alone") else restorer
    means = mean_table([
        *score("blurred", framewise(lambda batch: batch), rows, pairs, [PROFILE]),
        *score("model", restore, rows, pairs, [PROFILE]),
    ])  # fmt: skip
    notes = bursts(preset, restorer, rows, pairs) if restorer.task == "burst" else []
    quality = (means["blurred"][PROFILE], means["model"][PROFILE])
    figures = Figures(run["steps"] // STEPS, run["seconds"] / 60, *quality, notes)
    kept.write_text(json.dumps(figures._asdict()))
    return figures


def trained(preset: str, epochs: int, work: Path) -> Path:
    """Return the folder of the preset's training; pairs are made once for each task."""
    folder, config = work / preset, work / preset / "pipeline.yaml"
    if not config.is_file():
        paths = [f"paths.train={folder}", f"paths.checkpoints={folder / 'checkpoints'}"]
        often = [f"trainer.max_epochs={epochs}", f"trainer.check_val_every_n_epoch={max(1, epochs)}"]
        run("compose", *settings_of(preset), "logger=none", *often, *paths, "--out", str(config))
        settings = OmegaConf.load(config)
        settings.paths.prepared = str(work / "pairs" / settings.data.task)
        OmegaConf.save(settings, config)
    settings = OmegaConf.load(config)
    if not (Path(settings.paths.prepared) / "manifest.csv").is_file():
        shots = [f"data.frames={SHOTS}"] if settings.data.task == "burst" else []
        overrides = [*settings_of(preset)[:1], *shots, f"paths.prepared={settings.paths.prepared}"]
        run("compose", *overrides, "--out", str(folder / "pairs.yaml"))
        run("prepare", "--config", str(folder / "pairs.yaml"))
    if not (folder / "model" / "config.json").is_file():
        run("train", "--config", str(config))
    return folder


OUTSIDE = {"prepare": ["--outside"], "train": ["--outside"]}  # the folder of the figures may lie anywhere


def run(stage: str, *arguments: str) -> None:
    command = [sys.executable, "-m", COMMANDS[stage].module, *arguments, *OUTSIDE.get(stage, ())]
    subprocess.run(command, check=True, stdout=sys.stderr)


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

    counts = (1, 4, SHOTS)
    as_they_are, alone, brought, merged = ({count: [] for count in counts} for _ in range(4))
    for row in rows:
        blur, sharp = read_pair(row, pairs)
        single = [psnr(blur[:, k], sharp) for k in range(SHOTS)]
        restored = [psnr(restorer(blur[:, k : k + 1]), sharp) for k in range(SHOTS)]
        there = seen_from_the_first(blur[0])
        moved = [restored[0], *(psnr(restorer(there[None, k : k + 1]), sharp) for k in range(1, SHOTS))]
        for count in counts:
            as_they_are[count].append(max(single[:count]))
            alone[count].append(max(restored[:count]))
            brought[count].append(max(moved[:count]))
            merged[count].append(psnr(restorer(blur[:, :count]), sharp) if count > 1 else restored[0])
    return [
        f"{preset}, {count} shots: restored {np.mean(merged[count]):.2f} dB; best single shot "
        f"{np.mean(as_they_are[count]):.2f} dB as it is, {np.mean(alone[count]):.2f} dB restored alone, "
        f"{np.mean(brought[count]):.2f} dB aligned to the first and restored alone"
        for count in counts
    ]


def seen_from_the_first(shots: Batch) -> Batch:
    """Return (K, 3, H, W) aligned as the burst network does: a single shot's misalignment is not to decide."""
    padded = pad_to_multiple(torch.from_numpy(shots), SCALES[0], "replicate")
    moved = aligned(padded, padded[:1].expand_as(padded))
    return crop(moved, *shots.shape[-2:]).numpy()


def latencies(models: dict[str, Path], rounds: int, threads: int) -> dict[str, float]:
    """Return the median seconds of each network for 720 x 1280, in rounds that rotate."""
    restorers = {name: TorchRestorer(path, threads=threads) for name, path in models.items()}
    image = np.random.default_rng(0).random((1, 3, 720, 1280), dtype=np.float32)
    taken: dict[str, list[float]] = {name: [] for name in restorers}
    for index in range(rounds + 1):
        for name, restorer in restorers.items():
            frames = 1 if name.endswith("/alone") else 4
            batch = image if restorer.task == "image" else np.repeat(image[:, None], frames, axis=1)
            start = time.perf_counter()
            restorer(batch)
            seconds = time.perf_counter() - start
            if index:
                taken[name].append(seconds / (frames if restorer.task == "video" else 1))
    return {name: median(values) for name, values in taken.items()}


if __name__ == "__main__":
    main()
