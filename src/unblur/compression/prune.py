"""Pruning as a whole: blocks go, then channels and heads, in rounds with training between."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from unblur.compression.depth import is_skippable, shallower
from unblur.compression.finetune import finetune
from unblur.compression.importance import importance
from unblur.compression.slimming import Limits, slim
from unblur.compression.units import example, find_units
from unblur.config.instantiate import instantiate
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError
from unblur.records.training import Step
from unblur.training.datamodule import restoration_data
from unblur.training.module import as_images

Batches = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Pruned:
    """What came out: the network, and for each round its share of the cost and PSNR before and after its training."""

    network: nn.Module
    shares: list[float]
    psnr: list[float | None]
    history: list[Step]


def prune(
    cfg: PipelineConfig,
    network: nn.Module,
    cost: Callable[[nn.Module], float],
    say: Callable[[str], None] = lambda _: None,
) -> Pruned:
    """Return a smaller network that was taught by `network`; the same where it says of nothing that it may go.

    Args:
        cfg: `prune` says how far and how; everything else is the training's.
        network: in eval mode; stays as it is.
        cost: of a network: multiplications, or milliseconds.
        say: takes a line about each round.

    Raises:
        UnblurError: the target is not a share, or the limits do not allow for it.
    """
    settings = cfg.prune
    target = settings.target
    training = settings.finetune
    if target is None or not 0 < target < 1 or settings.rounds < 1 or training.epochs < settings.rounds:
        msg = f"prune.target={target}, prune.rounds={settings.rounds}, prune.finetune.epochs={training.epochs}: "
        raise UnblurError(msg + "expected a share between 0 and 1, and at least as many epochs as rounds")
    if not can_be_pruned(network, settings.blocks):
        say(
            f"{type(network).__name__} says of nothing that it may be pruned, and goes on as it is "
            "(see unblur.networks.description)"
        )
        return Pruned(network, [], [], [])
    loss = instantiate(cfg.loss)
    batches = _batches(cfg, settings.batches)
    whole = cost(network)
    limits = Limits(settings.multiple, settings.smallest, settings.stream)

    def loss_of(candidate: nn.Module) -> float:
        with torch.no_grad():
            return float(
                torch.stack([loss(as_images(candidate(blur)), as_images(sharp)) for blur, sharp in batches]).mean()
            )

    student = shallower(network, settings.blocks, loss_of)
    shares: list[float] = []
    psnr: list[float | None] = []
    rows: list[Step] = []
    steps = 0
    each = replace(training, epochs=training.epochs // settings.rounds)
    for index in range(settings.rounds):
        wanted = target ** ((index + 1) / settings.rounds)
        if cost(student) > wanted * whole:
            student = slim(
                student,
                lambda net, units: importance(
                    settings.importance, net, units, batches, lambda a, b: loss(as_images(a), as_images(b))
                ),
                cost,
                wanted * whole,
                limits,
            )
        shares.append(cost(student) / whole)
        say(f"round {index + 1} of {settings.rounds}: {shares[-1]:.1%} of the {settings.cost}; training")
        history = finetune(cfg, student, network, each, f"prune {index}")
        rows += [replace(row, step=row.step + steps) for row in history.rows]
        steps = rows[-1].step if rows else 0
        psnr.append(history.rows[-1].val_psnr if history.rows else None)
    student(example(student))  # what cannot run is not saved
    return Pruned(student.eval(), shares, psnr, rows)


def can_be_pruned(network: nn.Module, blocks: int) -> bool:
    """Return whether a network says of anything that it may go: channels, heads, or blocks if those are asked for."""
    return bool(find_units(network)) or (blocks > 0 and any(is_skippable(module) for module in network.modules()))


def _batches(cfg: PipelineConfig, count: int) -> Batches:
    """Return the first batches that a training with this seed would see."""
    loader = restoration_data(cfg).train_dataloader()
    return [(batch["blur"], batch["sharp"]) for batch in itertools.islice(loader, count)]
