"""Intervention: take parts of the input away, and see what becomes of the correction. The other maps are held to it."""

import numpy as np
from numpy.typing import NDArray

from unblur.explaining.blocks import Blocks, Map, grid
from unblur.explaining.subject import Subject


def exhaustive(subject: Subject, blocks: Blocks) -> NDArray[np.float64]:
    """Return (N,): what the score loses when a block is taken away, for every block; below 0 it gains."""
    return subject.whole - subject.scores(subject.without(blocks.masks))


def refined(
    subject: Subject,
    blocks: Blocks,
    across: int,
    effects: NDArray[np.float64],
    *,
    finer: int = 2,
    share: float = 0.8,
    most: int = 16,
) -> Map:
    """Return a signed causal map: the effect of every block, and within those that matter that of each part.

    Args:
        subject: what is explained.
        blocks: `across` x `across` of them.
        across: blocks along a side.
        effects: (N,) of the blocks, by `exhaustive`.
        finer: parts of a block along a side.
        share: of the absolute effect that the blocks which are looked at closer hold together.
        most: blocks that are looked at closer.
    """
    order = np.argsort(-np.abs(effects))
    held = np.cumsum(np.abs(effects[order])) / max(float(np.abs(effects).sum()), 1e-12)
    chosen = order[: min(int(np.searchsorted(held, share)) + 1, most)]
    inner = grid(*subject.side, across * finer)
    members = [
        (i // across * finer + a) * across * finer + i % across * finer + b
        for i in chosen
        for a in range(finer)
        for b in range(finer)
    ]
    parts = inner.some(np.array(members))
    found = exhaustive(subject, parts)
    looked_at = blocks.masks[chosen].sum(axis=0)
    whole = blocks.spread(effects) * (1 - looked_at) + parts.spread(found)
    frames = subject.window.shape[0]
    return np.repeat(whole, frames, axis=0) / frames
