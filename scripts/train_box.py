"""Trains what is in the box on one GPU in minutes: `python scripts/train_box.py PHOTOS START TEACHER OUT`.

PHOTOS is a manifest that `unblur data import photos` wrote, START and TEACHER are folders that `unblur import-weights`
wrote (one stage of MAXIM, and two). `unblur train experiment=box` has the same recipe with checkpoints, validation and
tracking; this is for a GPU that is there for a quarter of an hour. All crops are blurred at once, the teacher sees each
once, and the training step is one CUDA graph.
"""

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from unblur.config.compose import checked, compose
from unblur.config.provenance import git_state
from unblur.config.root import project_root
from unblur.records.training import Training, write_training
from unblur.safety.hashing import sha256_file
from unblur.training.crops import training_crops
from unblur.training.distillation import helpful
from unblur.training.fit import make_network, mix_in
from unblur.training.weights import WEIGHTS, load_model, save_model


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How it is trained; the defaults made the model in the box."""

    crops: int = 2400
    batch: int = 16
    steps: int = 885
    lr: float = 2.5e-5
    new_lr: float = 5.0  # of what begins at 0, in times of lr
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = 40
    ema: float = 0.995
    clip: float = 1 / 30  # longest gradient
    taught: float = 0.35  # of the teacher's picture in what is aimed at, where it is better than the blurred
    init_share: float = 0.25  # of the weights that it began with, in those that are saved


def main() -> None:
    """Train, average, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photos", "start", "teacher", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--workers", type=int, default=15, help="processes that blur")
    for field in ("crops", "batch", "steps"):
        parser.add_argument(f"--{field}", type=int, default=getattr(Recipe, field))
    parser.add_argument("--patch", type=int, default=512)
    options = parser.parse_args()
    recipe = Recipe(options.crops, options.batch, options.steps)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    started = time.monotonic()
    cfg = checked(compose([
        "experiment=box", f"data.source.manifest={options.photos}", f"train.init={options.start}",
        f"data.patch_size={options.patch}", "data.batch_size=1", f"data.steps_per_epoch={recipe.crops}",
    ]))  # fmt: skip
    torch.manual_seed(cfg.seed)
    crops = DataLoader(training_crops(cfg), batch_size=None, num_workers=options.workers)
    drawn = [(as_bytes(item["blur"]), as_bytes(item["sharp"])) for item in tqdm(crops, desc="blurring")]
    blur, sharp = (torch.stack(side).to(device) for side in zip(*drawn, strict=True))
    aim = aims(load_model(options.teacher).to(device), blur, sharp, recipe)
    network, model = make_network(cfg)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    averaged = train(network.to(device), blur, aim, recipe)
    network.load_state_dict(averaged)
    mix_in(network, start, recipe.init_share)

    (options.out / "model").mkdir(parents=True, exist_ok=True)
    digest = save_model(network.cpu(), model, options.out / "model")
    git = git_state(project_root())
    record = Training(
        run_id=None, experiment="box", git_sha=git.sha, git_dirty=git.dirty,
        manifest_sha256=sha256_file(options.photos), model_sha256=digest,
        init_sha256=sha256_file(options.start / WEIGHTS), teacher_sha256=sha256_file(options.teacher / WEIGHTS),
        seed=cfg.seed, precision="bf16-mixed", steps=recipe.steps, seconds=round(time.monotonic() - started, 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"), val_psnr=None, resumed=False,
    )  # fmt: skip
    write_training(record, [], options.out)
    (options.out / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=2) + "\n", encoding="utf-8")


def as_bytes(image: Tensor) -> Tensor:
    """Return (3, H, W) in [0, 1] as whole steps of 1/255."""
    return (image * 255).round().to(torch.uint8)


def as_float(images: Tensor) -> Tensor:
    """Return bytes (B, 3, H, W) as values in [0, 1], channels last in memory."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def aims(teacher: nn.Module, blur: Tensor, sharp: Tensor, recipe: Recipe) -> Tensor:
    """Return what is aimed at: the truth, and a share of the teacher's picture where it is closer than the blurred."""
    aim = []
    for x, y in tqdm(list(zip(blur.split(8), sharp.split(8), strict=True)), desc="teaching"):
        blurred, truth = as_float(x), as_float(y)
        with torch.autocast(blur.device.type, torch.bfloat16):
            taught = teacher(blurred).float().clamp(0, 1)
        share = recipe.taught * helpful(taught, blurred, truth)[:, None, None, None]
        aim.append(as_bytes(torch.lerp(truth, taught, share)))
    return torch.cat(aim)


def train(network: nn.Module, blur: Tensor, aim: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    """Return the moving average of the weights."""
    network = network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    device, rng = blur.device, torch.Generator().manual_seed(0)
    weights = list(network.parameters())
    averaged = [weight.detach().clone() for weight in weights]
    begun = [weight.detach().clone() for weight in weights]
    lr, new_lr = (torch.zeros((), device=device) for _ in range(2))
    groups = [{"params": [w for w in weights if not w.any()], "lr": new_lr}]
    groups.append({"params": [w for w in weights if w.any()], "lr": lr})
    optimizer = torch.optim.AdamW(
        groups, betas=recipe.betas, weight_decay=0.0, fused=True, capturable=device.type == "cuda"
    )
    size = (recipe.batch, *blur.shape[1:])
    x, y = (torch.empty(size, device=device).contiguous(memory_format=torch.channels_last) for _ in range(2))

    def fill() -> None:
        chosen = torch.randint(len(blur), (recipe.batch,), generator=rng).to(device)
        turn, mirrored = int(torch.randint(4, (1,), generator=rng)), bool(torch.randint(2, (1,), generator=rng))
        for static, images in ((x, blur), (y, aim)):
            turned = torch.rot90(as_float(images[chosen]), turn, (2, 3))
            static.copy_(turned.flip(3) if mirrored else turned)

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
            restored = network(x)
        ((restored.float() - y).square() + 1e-6).sqrt().mean().backward()
        nn.utils.clip_grad_norm_(weights, recipe.clip)
        optimizer.step()
        torch._foreach_lerp_(averaged, [w.detach() for w in weights], 1 - recipe.ema)

    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    replay = step
    if device.type == "cuda":
        replay = captured(fill, step)
        for state in optimizer.state.values():
            for value in state.values():
                value.zero_()
        for kept in (weights, averaged):
            torch._foreach_copy_([w.detach() for w in kept], begun)
    for number in tqdm(range(recipe.steps), desc="training"):
        warm = min(1.0, number / recipe.warmup)
        rate = recipe.lr * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * number / recipe.steps)))
        lr.fill_(rate)
        new_lr.fill_(rate * recipe.new_lr)
        fill()
        replay()
    names = [name for name, _ in network.named_parameters()]
    return dict(zip(names, averaged, strict=True))


def captured(fill: Callable[[], None], step: Callable[[], None]) -> Callable[[], None]:
    """Return one step as a CUDA graph, recorded after three that warm up."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            fill()
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


if __name__ == "__main__":
    main()
