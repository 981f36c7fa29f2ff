"""Datasets: training crops whose blur is drawn on the fly, and prepared pairs that never change."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from unblur.blur.recipe import Recipe
from unblur.data.augment import PairedAugment
from unblur.data.images import read_rgb
from unblur.data.manifest import PairRow, Source
from unblur.data.pictures import as_planes, read_sides
from unblur.errors import UnblurError
from unblur.images.header import check_image_header
from unblur.safety.paths import inside

Item = dict[str, Any]
"""{"blur": (3, H, W) float32 in [0, 1], "sharp": the same, "key": str}; frames of videos and bursts come first."""

Photo = NDArray[np.uint8]

TRIES = 4  # of a crop that shows something
NEARLY_CONSTANT = 2.0  # standard deviation in 8-bit steps, in the channel that varies most


class SharpCrops(Dataset[Item]):
    """Crops of sharp photographs, each blurred anew by the recipe.

    Item i is a function of (seed, i) alone, for any i >= 0: the order and the number of workers change nothing. A
    photograph is drawn with probability proportional to the square root of its area: larger ones hold more to see,
    but shall not push out the small ones. Of crops that are nearly constant, and so teach nothing, up to three are
    drawn again. The crop includes a margin that the blur reaches for, so no training pixel sees a mirrored border
    (only a photograph smaller than crop and margin is mirrored around).

    Args:
        sources: training photographs; those with a side under `patch_size` are left out.
        data_root: the folder that their files are relative to.
        recipe: draws and applies the blur.
        augment: where to crop, and how to mirror and turn.
        patch_size: side of the items in pixels.
        length: what len() says: the items of an epoch.
        seed: of the whole dataset.
        severity: of item i, in [0, 1]: `unblur.blur.recipe.SeverityRamp` for a curriculum; None is full strength.
        cache_bytes: decoded photographs kept in memory by each process.

    Raises:
        UnblurError: a photograph cannot be read, or none is large enough.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        data_root: Path,
        *,
        recipe: Recipe,
        augment: PairedAugment,
        patch_size: int,
        length: int,
        seed: int,
        severity: Callable[[int], float] | None = None,
        cache_bytes: int = 1 << 30,
    ) -> None:
        headers = [(source, check_image_header(inside(data_root, source.file))) for source in sources]
        large = [(source, head) for source, head in headers if min(head.width, head.height) >= patch_size]
        if not large:
            msg = f"none of {len(headers)} training photographs has {patch_size} pixels a side; lower data.patch_size"
            raise UnblurError(msg)
        self.files = [source.file for source, _ in large]
        self._edges = np.cumsum(np.sqrt([float(head.width * head.height) for _, head in large]))
        self._photos = _DecodedPhotos(data_root, cache_bytes)
        self.recipe = recipe
        self.augment = augment
        self.patch_size = patch_size
        self.length = length
        self.seed = seed
        self.severity = severity

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Item:
        rng = np.random.default_rng((self.seed, index))
        drawn = self.recipe.draw(rng, self.severity(index) if self.severity else 1.0)
        margin = self.recipe.margin(drawn)
        for _ in range(TRIES):
            file = self._draw_file(rng)
            crop = draw_crop(self._photos[file], self.patch_size + 2 * margin, self.augment, rng)
            if cv2.meanStdDev(crop)[1].max() >= NEARLY_CONSTANT:
                break
        blur, sharp = self.recipe.apply(crop, drawn, margin)
        return {"blur": as_tensor(blur), "sharp": as_tensor(sharp), "key": f"{Path(file).name}#{index}"}

    def _draw_file(self, rng: np.random.Generator) -> str:
        return self.files[int(np.searchsorted(self._edges, rng.random() * self._edges[-1], side="right"))]


class Pairs(Dataset[Item]):
    """Prepared pairs, whole.

    Args:
        rows: of the manifest.
        prepared_root: the folder that their files are relative to.
    """

    def __init__(self, rows: Sequence[PairRow], prepared_root: Path) -> None:
        self.rows = list(rows)
        self.prepared_root = prepared_root

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Item:
        row = self.rows[index]
        blur, sharp = read_sides(row, self.prepared_root)
        if blur.shape[-3:] != sharp.shape[-3:]:
            sizes = f"blur {blur.shape[-2]} x {blur.shape[-3]}, sharp {sharp.shape[-2]} x {sharp.shape[-3]} pixels"
            msg = f"pair {row.pair}: {sizes}; expected one size, run `unblur prepare` again"
            raise UnblurError(msg)
        return {"blur": as_tensor(blur), "sharp": as_tensor(sharp), "key": row.pair}


class _DecodedPhotos:
    """Photographs decoded once; the one used longest ago goes when they take more than `budget` bytes."""

    def __init__(self, data_root: Path, budget: int) -> None:
        self.data_root = data_root
        self.budget = budget
        self._kept: OrderedDict[str, Photo] = OrderedDict()

    def __getitem__(self, file: str) -> Photo:
        if file not in self._kept:
            self._kept[file] = read_rgb(inside(self.data_root, file))
            while len(self._kept) > 1 and sum(photo.nbytes for photo in self._kept.values()) > self.budget:
                self._kept.popitem(last=False)
        self._kept.move_to_end(file)
        return self._kept[file]


def draw_crop(photo: Photo, side: int, augment: PairedAugment, rng: np.random.Generator) -> Photo:
    """Return a crop (side, side, 3): cut where and as large as the augmentation says, then brought to that side."""
    size = max(1, round(side / augment.draw_zoom(rng)))
    missing = max(0, size - photo.shape[0]), max(0, size - photo.shape[1])
    if any(missing):
        top, left = (side // 2 for side in missing)
        bottom, right = missing[0] - top, missing[1] - left
        photo = cv2.copyMakeBorder(photo, top, bottom, left, right, cv2.BORDER_REFLECT)
    crop: Photo = augment([photo], int(rng.integers(2**31)), size)[0]
    if size != side:
        crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA if size > side else cv2.INTER_CUBIC)
    return np.ascontiguousarray(crop[..., augment.draw_channels(rng)])


def as_tensor(image: NDArray[Any]) -> torch.Tensor:
    """Return (..., 3, H, W) float32 in [0, 1] of (..., H, W, 3) uint8."""
    return torch.from_numpy(as_planes(image))
