"""Training crops of blurred pictures and their truth: cut, mirrored and turned alike."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from unblur.config.schema import CheckConfig
from unblur.data.alignment import refuse_turned
from unblur.data.augment import PairedAugment
from unblur.data.datasets import Item
from unblur.data.images import read_rgb
from unblur.data.manifest import PairRow
from unblur.data.sequences import scenes, unbroken
from unblur.errors import UnblurError
from unblur.safety.paths import inside


class PairedCrops(Dataset[Item]):
    """Crops of pairs that exist as files.

    Item i is a function of (seed, i) alone, for any i >= 0. Pairs are drawn with equal probability. Of the
    augmentation, `zoom` is left out: to scale a pair would change how its blur and its noise look.

    Items are {"blur": (3, H, W) float32 in [0, 1], "sharp": the same, "key": str}; with `frames` over 1 both are
    (frames, 3, H, W): neighbouring frames of one sequence, each with its truth.

    Args:
        rows: of the training split, of an imported dataset.
        root: the folder that their files are relative to.
        augment: where to crop, and how to mirror and turn.
        patch_size: side of the items in pixels.
        length: what len() says: the items of an epoch.
        seed: of the whole dataset.
        frames: of an item.
        burst: the truth is that of the first frame alone.
        limits: from where on a pair counts as turned; None is the default.

    Raises:
        UnblurError: no sequence has that many frames; when an item is read: a file is damaged or too small, or a pair
            differs in size or in how it lies.
    """

    def __init__(
        self,
        rows: Sequence[PairRow],
        root: Path,
        *,
        augment: PairedAugment,
        patch_size: int,
        length: int,
        seed: int,
        frames: int = 1,
        burst: bool = False,
        limits: CheckConfig | None = None,
    ) -> None:
        self.windows = _windows(rows, frames)
        if not self.windows:
            msg = f"{root}: of {len(rows)} training pairs no {frames} are neighbours in a sequence; lower data.frames"
            raise UnblurError(msg)
        self.root = root
        self.augment = augment
        self.patch_size = patch_size
        self.length = length
        self.seed = seed
        self.frames = frames
        self.burst = burst
        self.limits = limits or CheckConfig()
        self._looked_at: set[str] = set()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Item:
        rng = np.random.default_rng((self.seed, index))
        window = self.windows[int(rng.integers(len(self.windows)))]
        images = [read_rgb(inside(self.root, file)) for row in window for file in (row.blur, row.sharp)]
        if len({image.shape for image in images}) > 1:
            sizes = ", ".join(sorted({f"{image.shape[1]} x {image.shape[0]}" for image in images}))
            msg = f"pair {window[0].pair}: pictures of {sizes}; one size was expected, see `unblur check-data`"
            raise UnblurError(msg)
        for number, row in enumerate(window):
            self._look_at(row, images[2 * number], images[2 * number + 1])
        if min(images[0].shape[:2]) < self.patch_size:
            size = f"{images[0].shape[1]} x {images[0].shape[0]}"
            msg = f"pair {window[0].pair}: {size} pixels, crops have {self.patch_size} a side; lower data.patch_size"
            raise UnblurError(msg)
        crops = self.augment(images, int(rng.integers(2**31)), self.patch_size)
        channels = self.augment.draw_channels(rng)
        stack = np.stack(crops)[..., channels]  # (2 * frames, H, W, 3)
        blur, sharp = _tensor(stack[0::2]), _tensor(stack[1::2])
        if self.frames == 1 and not self.burst:
            blur = blur[0]
        if self.frames == 1 or self.burst:
            sharp = sharp[0]
        return {"blur": blur, "sharp": sharp, "key": f"{window[0].pair}#{index}"}

    def _look_at(self, row: PairRow, blur: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> None:
        """Refuse a pair of which one side is turned, once for each pair."""
        if row.pair not in self._looked_at:
            refuse_turned(f"{self.root / row.blur}", blur, sharp, self.limits)
            self._looked_at.add(row.pair)


def _windows(rows: Sequence[PairRow], frames: int) -> list[list[PairRow]]:
    """Return all runs of `frames` rows that follow each other in a sequence; of one frame, each row."""
    if frames == 1:
        return [[row] for row in rows]
    runs = (run for scene in scenes(rows).values() for run in unbroken(scene))
    return [run[first : first + frames] for run in runs for first in range(len(run) - frames + 1)]


def _tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """Return (T, 3, H, W) float32 in [0, 1] of (T, H, W, 3) uint8."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float().div_(255)
