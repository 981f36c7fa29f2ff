"""A restorer that sees the photograph at a lower resolution: quick, for blur that spans many pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.runtimes.restorer import Restorer
from unblur.runtimes.tiles import settled


class ReducedRestorer:
    """Restores what is left of a photograph at `reduction` times fewer pixels along each side, and adds the difference.

    Blur has taken the finest detail, so what a network adds is mostly coarse: at a half of the resolution MAXIM's first
    stage keeps nine tenths of what it gains on real pairs, at an eighth a fifth (docs/box.md). The photograph's own
    detail stays as it is.

    Args:
        restorer: of images.
        reduction: 2 or more.

    Raises:
        UnblurError: it is none of images.
    """

    def __init__(self, restorer: Restorer, reduction: int) -> None:
        if restorer.task != "image":
            msg = f"{restorer.name}: restores a {restorer.task}; only models of photographs work at a lower resolution"
            raise UnblurError(msg)
        self.restorer, self.reduction = restorer, reduction
        self.name, self.sha256, self.task = restorer.name, restorer.sha256, restorer.task

    def settled(self) -> "ReducedRestorer":
        """Return the same for inputs of which many have the same size."""
        return ReducedRestorer(settled(self.restorer), self.reduction)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 RGB in [0, 1]; any H and W from 1 on."""
        height, width = batch.shape[-2:]
        rows, columns = (-(-side // self.reduction) for side in (height, width))
        more = rows * self.reduction - height, columns * self.reduction - width
        whole = np.pad(batch, ((0, 0), (0, 0), (0, more[0]), (0, more[1])), mode="edge") if any(more) else batch
        low = _resized(whole, columns, rows, cv2.INTER_AREA)  # means of whole blocks
        added = _resized(self.restorer(low) - low, whole.shape[-1], whole.shape[-2], cv2.INTER_CUBIC)
        restored: NDArray[np.float32] = batch + added[..., :height, :width]
        return restored


def _resized(batch: NDArray[np.float32], width: int, height: int, interpolation: int) -> NDArray[np.float32]:
    """Resize each plane of a batch (B, C, H, W), which costs less than bringing its channels together."""
    planes = [
        cv2.resize(plane, (width, height), interpolation=interpolation)
        for plane in batch.reshape(-1, *batch.shape[-2:])
    ]
    return np.stack(planes).reshape(*batch.shape[:2], height, width)
