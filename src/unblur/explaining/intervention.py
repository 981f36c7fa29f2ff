"""Intervention: take parts of the input away, and see what becomes of the correction. The other maps are held to it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.explaining.gradients import Map
from unblur.explaining.subject import Subject

FEATHER = 0.15  # of a block's side: its border is soft, as a hard edge would be detail of its own


@dataclass(frozen=True)
class Blocks:
    """Soft masks (N, h, w) in [0, 1] of blocks that share out the window: their sum is 1 everywhere."""

    masks: NDArray[np.float32]

    def sums(self, attribution: Map) -> NDArray[np.float64]:
        """Return (N,): the sum of a map (K, h, w) over each block."""
        summed = attribution.sum(axis=0)
        return np.tensordot(self.masks.astype(np.float64), summed, axes=([1, 2], [0, 1]))

    def spread(self, effects: NDArray[np.float64]) -> Map:
        """Return the map (1, h, w) that shares the effect of each block out among its pixels."""
        densities = effects / self.masks.sum(axis=(1, 2))
        return np.tensordot(densities, self.masks.astype(np.float64), axes=1)[None]


def grid(height: int, width: int, across: int) -> Blocks:
    """Return `across` x `across` blocks that share out a window."""
    rows, columns = (np.linspace(0, side, across + 1).round().astype(int) for side in (height, width))
    labels = np.zeros((height, width), np.int32)
    for i in range(across):
        for j in range(across):
            labels[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = i * across + j
    return soft(labels, FEATHER * min(height, width) / across)


def soft(labels: NDArray[np.int32], sigma: float) -> Blocks:
    """Return the parts of a map of labels from 0 on, their borders softened by `sigma` pixels."""
    parts = (labels[None] == np.arange(labels.max() + 1)[:, None, None]).astype(np.float32)
    if sigma > 0:
        parts = np.stack([cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for part in parts])
    return Blocks(parts)


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
    parts = Blocks(inner.masks[members])
    found = exhaustive(subject, parts)
    looked_at = blocks.masks[chosen].sum(axis=0)
    whole = blocks.spread(effects) * (1 - looked_at) + parts.spread(found)
    frames = subject.window.shape[0]
    return np.repeat(whole, frames, axis=0) / frames
