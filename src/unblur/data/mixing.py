"""Augmentation that needs a whole batch: CutBlur and MixUp, as Yoo et al. 2020 (CVPR) use them for restoration."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from unblur.data.datasets import Item

CUT = 0.7  # side of CutBlur's part, as a share of the image's; the paper's value
BETA = 1.2  # of MixUp's weight ~ Beta(BETA, BETA); the paper's value


@dataclass(frozen=True)
class MixingCollate:
    """Makes a batch of items, and mixes it: a function of the seed and the items' keys alone.

    Attributes:
        cutblur: share of items that get CutBlur.
        mixup: share of batches that get MixUp.
        seed: of the run.
    """

    cutblur: float
    mixup: float
    seed: int

    def __call__(self, items: list[Item]) -> dict[str, Any]:
        """Return {"blur": (B, 3, H, W), "sharp": the same, "key": B names; of mixed items, two joined by +}."""
        batch: dict[str, Any] = default_collate(items)
        rng = np.random.default_rng((self.seed, zlib.crc32(" ".join(batch["key"]).encode())))
        if rng.random() < self.mixup:
            weight = float(rng.beta(BETA, BETA))
            batch = {side: mixup(batch[side], weight) for side in ("blur", "sharp")} | {"key": batch["key"]}
            others = [*batch["key"][-1:], *batch["key"][:-1]]
            batch["key"] = [f"{key}+{other}" for key, other in zip(batch["key"], others, strict=True)]
        for blur, sharp in zip(batch["blur"], batch["sharp"], strict=True):
            if rng.random() < self.cutblur:
                blur.copy_(cutblur(blur, sharp, rng))
        return batch


def cutblur(blur: Tensor, sharp: Tensor, rng: np.random.Generator) -> Tensor:
    """Return `blur` with a random part taken from `sharp`, or, as often, `sharp` with that part taken from `blur`.

    The truth stays: a network learns where there is something to restore, and to leave the rest alone.

    Args:
        blur: (3, H, W).
        sharp: (3, H, W).
        rng: decides the place, and which is put into which.
    """
    height, width = blur.shape[-2:]
    rows, columns = max(1, round(height * CUT)), max(1, round(width * CUT))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    around, part = (blur, sharp) if rng.random() < 0.5 else (sharp, blur)
    mixed = around.clone()
    inside = (..., slice(top, top + rows), slice(left, left + columns))
    mixed[inside] = part[inside]
    return mixed


def mixup(images: Tensor, weight: float) -> Tensor:
    """Return `weight` of each image plus `1 - weight` of the one before it in the batch, (B, 3, H, W)."""
    return torch.lerp(images.roll(1, dims=0), images, weight)
