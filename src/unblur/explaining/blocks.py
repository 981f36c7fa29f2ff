"""Parts of a window, and maps over it: what is taken away by intervention, and what a map holds of each part."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FEATHER = 0.15  # of a block's side: its border is soft, as a hard edge would be detail of its own


Map = NDArray[np.float64]
"""(K, h, w): what each pixel of each frame adds to the score; signed."""


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

    def some(self, places: NDArray[np.int64]) -> "Blocks":
        """Return the blocks at these places alone, in this order."""
        return Blocks(self.masks[places])

    def scattered(self, across: int, apart: int = 4) -> "Blocks":
        """Return the blocks of a grid, `across` along a side, in groups whose members lie `apart` blocks apart."""
        rows, columns = np.divmod(np.arange(len(self.masks)), across)
        groups = rows % apart * apart + columns % apart
        return Blocks(np.stack([self.masks[groups == group].sum(axis=0) for group in np.unique(groups)]))


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
