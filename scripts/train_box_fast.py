"""Trains `box_fast`, half of `box`, for the quarter of the resolution: `python scripts/train_box_fast.py PHOTOS OUT`.

PHOTOS is a manifest that `unblur data import photos` wrote. Of every two blocks of `box` the one goes that hurts less;
what is left learns to give at a quarter of the resolution what `box` gives at full resolution, on synthetic blur. The
truth is not shown: on synthetic blur it unteaches real blur (docs/box.md). Both steps go on where they were stopped:

    python scripts/train_box_fast.py PHOTOS OUT --crops 800       # blurs crops, and lets `box` restore them
    python scripts/train_box_fast.py PHOTOS OUT --steps 3000      # trains on those that are there
"""

import argparse
import dataclasses
import json
import math
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from unblur.config.compose import checked, compose
from unblur.config.provenance import git_state
from unblur.config.root import project_root
from unblur.models.loading import load_chosen
from unblur.records.training import Training, write_training
from unblur.safety.hashing import sha256_file
from unblur.training.crops import training_crops
from unblur.training.weights import PARENTS, WEIGHTS, load_model, read_model_config, save_model

REDUCTION = 4
CHUNK = 50  # crops in a file

SKIPPED = (
    *(f"encoders.{level}.mix.1" for level in range(3)),
    *(f"decoders.{level}.mix.1" for level in range(3)),
    "bottleneck.0.mix.1", "bottleneck.1.mix.0",
    "encoders.0.attend.0", "encoders.1.attend.1", "encoders.2.attend.1",
    "decoders.0.attend.0", "decoders.1.attend.0", "decoders.2.attend.0",
    "bottleneck.0.attend.0", "bottleneck.1.attend.1",
)  # fmt: skip
"""Blocks that go: of each level's two of a kind the one without which real pairs lose less, nothing trained."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How it is trained; the defaults made the model in the box."""

    patch: int = 640
    batch: int = 4
    steps: int = 3000
    lr: float = 2e-4
    warmup: int = 100
    ema: float = 0.995
    clip: float = 0.1


def main() -> None:
    """Make crops, or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--crops", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.crops:
        make_crops(options.photos, options.out, options.crops, Recipe().patch, options.threads)
    if options.steps:
        train(options.photos, options.out, Recipe(steps=options.steps))


def make_crops(photos: Path, out: Path, count: int, patch: int, threads: int) -> None:
    """Write blurred crops and what `box` makes of them, both at a quarter of the resolution."""
    cfg = checked(compose([
        "experiment=box", f"data.source.manifest={photos}", f"data.patch_size={patch}", "data.batch_size=1",
        f"data.steps_per_epoch={count}", "augment.zoom=[0.8,1.0]",
    ]))  # fmt: skip
    teacher = load_chosen("box", threads)
    crops = training_crops(cfg)
    for first in tqdm(range(0, count, CHUNK), desc="crops"):
        file = out / f"crops{first:05}.npz"
        if file.exists():
            continue
        blurred, taught = [], []
        for index in range(first, min(first + CHUNK, count)):
            blur = crops[index]["blur"].numpy()[None]
            blurred.append(reduced(blur))
            taught.append(reduced(np.clip(teacher(blur), 0, 1)))
        with file.with_suffix(".part").open("wb") as stream:
            np.savez(stream, blur=np.concatenate(blurred), taught=np.concatenate(taught))
        file.with_suffix(".part").rename(file)


def reduced(images: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the means of blocks of 4 x 4 pixels, as `unblur.runtimes.reduced` takes them."""
    batch, channels, height, width = images.shape
    blocks = images.reshape(batch, channels, height // REDUCTION, REDUCTION, width // REDUCTION, REDUCTION)
    return blocks.mean(axis=(3, 5)).astype(np.float16)


def halved() -> nn.Module:
    """Return `box` without the blocks of SKIPPED."""
    network = load_model(PARENTS / "box").float()
    for name in SKIPPED:
        network.set_submodule(f"stages.0.{name}", nn.Identity())
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def train(photos: Path, out: Path, recipe: Recipe) -> None:
    """Train on the crops that are there, a checkpoint every 100 steps; write the moving average of the weights."""
    network = halved().train()
    averaged = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    optimizer = torch.optim.AdamW(network.parameters(), recipe.lr, betas=(0.9, 0.99), weight_decay=0.0)
    checkpoint, start = out / "last.pt", 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        averaged, start = kept["averaged"], kept["step"]
    began, files, crops = time.monotonic(), 0, (torch.empty(0), torch.empty(0))
    shown = 0.0
    for step in tqdm(range(start, recipe.steps), desc="training", mininterval=30):
        found = sorted(out.glob("crops*.npz"))
        if len(found) > files:
            files, crops = len(found), read_crops(found)
        rng = torch.Generator().manual_seed(step)
        blur, taught = (each.to(torch.float32).contiguous(memory_format=torch.channels_last)
                        for each in drawn(crops, recipe.batch, rng))  # fmt: skip
        rate = min(1.0, (step + 1) / recipe.warmup) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / recipe.steps)))
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * rate
        with torch.autocast("cpu", torch.bfloat16):
            restored = network(blur)
        loss = ((restored.float() - taught).square() + 1e-6).sqrt().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        shown += float(loss)
        decay = min(recipe.ema, (step + 1) / (step + 10))
        for name, weight in network.named_parameters():
            averaged[name].lerp_(weight.detach(), 1 - decay)
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            print(f"step {step + 1}: loss {shown / 100:.5f}", flush=True)
            shown = 0.0
            torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(),
                        "averaged": averaged, "step": step + 1}, checkpoint)  # fmt: skip
            write(network, averaged, photos, out, recipe, step + 1, time.monotonic() - began)


def read_crops(files: list[Path]) -> tuple[Tensor, Tensor]:
    """Return blurred crops and what `box` makes of them, (N, 3, h, w)."""
    chunks = [np.load(file) for file in files]
    blur, taught = (torch.from_numpy(np.concatenate([chunk[key] for chunk in chunks])) for key in ("blur", "taught"))
    return blur, taught


def drawn(crops: tuple[Tensor, Tensor], count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return some crops of both, turned and mirrored alike."""
    chosen = torch.randint(len(crops[0]), (count,), generator=rng)
    turn, mirrored = int(torch.randint(4, (1,), generator=rng)), bool(torch.randint(2, (1,), generator=rng))
    blur, taught = (torch.rot90(each[chosen], turn, (2, 3)) for each in crops)
    return (blur.flip(3), taught.flip(3)) if mirrored else (blur, taught)


def write(
    network: nn.Module, averaged: dict[str, Tensor], photos: Path, out: Path, recipe: Recipe, steps: int, seconds: float
) -> None:
    """Write the averaged weights as a model, with the record of the training."""
    student = halved()
    student.load_state_dict({**network.state_dict(), **averaged})
    (out / "model").mkdir(exist_ok=True)
    digest = save_model(student, read_model_config(PARENTS / "box"), out / "model")
    git = git_state(project_root())
    parent = sha256_file(PARENTS / "box" / WEIGHTS)
    record = Training(
        run_id=None, experiment="box_fast", git_sha=git.sha, git_dirty=git.dirty,
        manifest_sha256=sha256_file(photos), model_sha256=digest, init_sha256=parent, teacher_sha256=parent,
        seed=0, precision="bf16-mixed", steps=steps, seconds=round(seconds, 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"), val_psnr=None, resumed=False,
    )  # fmt: skip
    write_training(record, [], out)
    (out / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
