"""What the Lightning loop costs over a bare PyTorch loop: the same network, batches, optimizer, clipping and averaging.

    python studies/training_overhead.py [--steps 60] [--rounds 5] [OVERRIDE ...]

Both loops run in turn in one process; the ratio of their medians is what counts.
"""

import argparse
import logging
import statistics
import time
import warnings

import lightning as L
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn
from torch.utils.data import DataLoader

from unblur.config.compose import checked, compose
from unblur.config.instantiate import instantiate
from unblur.config.schema import PipelineConfig
from unblur.training.callbacks import History
from unblur.training.module import RestorationModule
from unblur.training.precision import resolve_precision


class Clock(L.Callback):
    """Times the steps alone, without the Trainer's set-up."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = time.perf_counter() - self.started


def make_module(cfg: PipelineConfig) -> RestorationModule:
    torch.manual_seed(0)
    return RestorationModule(
        instantiate(cfg.model),
        loss=instantiate(cfg.loss),
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
        channels_last=cfg.train.channels_last,
    )


def time_lightning(cfg: PipelineConfig, batches: list[dict], precision: str) -> float:
    clock = Clock()
    trainer = L.Trainer(
        accelerator="cpu", devices=1, precision=precision, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_model_summary=False, deterministic=True, gradient_clip_val=cfg.trainer["gradient_clip_val"],
        callbacks=[instantiate(cfg.callbacks["ema"]), instantiate(cfg.callbacks["progress"]), History(), clock],
    )  # fmt: skip
    trainer.fit(make_module(cfg), DataLoader(batches, batch_size=None))
    return clock.seconds


def time_bare(cfg: PipelineConfig, batches: list[dict], precision: str) -> float:
    module = make_module(cfg)
    network, loss = module.network, module.loss
    optimizer = module.make_optimizer(network.parameters())
    scheduler = module.make_scheduler(optimizer, total_steps=len(batches))
    average = AveragedModel(network, avg_fn=get_ema_avg_fn(cfg.callbacks["ema"]["decay"]), use_buffers=True)
    network.train()
    started = time.perf_counter()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision.startswith("bf16")):
            value = loss(network(batch["blur"].contiguous(memory_format=module.memory_format)), batch["sharp"])
        if not torch.isfinite(value):
            raise ValueError(value)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), cfg.trainer["gradient_clip_val"])
        optimizer.step()
        scheduler.step()
        average.update_parameters(network)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)

    cfg = checked(compose(["experiment=scratch", *options.overrides]))
    size, count = cfg.data.patch_size, cfg.data.batch_size
    generator = torch.Generator().manual_seed(0)
    batches = [
        {
            "blur": torch.rand(count, 3, size, size, generator=generator),
            "sharp": torch.rand(count, 3, size, size, generator=generator),
            "key": [f"random#{index}"] * count,
        }
        for index in range(options.steps)
    ]
    precision = resolve_precision(str(cfg.trainer["precision"]), "cpu")
    loops = {"Lightning": time_lightning, "bare PyTorch": time_bare}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop(cfg, batches[:5], precision)  # warm-up
    for _ in range(options.rounds):
        for name, loop in loops.items():
            seconds[name].append(loop(cfg, batches, precision))

    bare = statistics.median(seconds["bare PyTorch"])
    table = Table(title=f"{options.steps} steps of {count} x {size} x {size}, {precision}, {options.rounds} rounds")
    for column in ("loop", "median ms a step", "min", "max", "against bare"):
        table.add_column(column, justify="right")
    for name, values in seconds.items():
        each = [value / options.steps * 1000 for value in values]
        median = statistics.median(each)
        ratio = statistics.median(values) / bare
        table.add_row(name, f"{median:.1f}", f"{min(each):.1f}", f"{max(each):.1f}", f"{ratio:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
