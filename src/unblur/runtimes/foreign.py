"""Restores with ONNX files of others: fixed sizes, channels last, 0 to 255. A trial picture tells whether it works."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.runtimes.foreign_layout import Layout
from unblur.runtimes.session import Session, SessionError
from unblur.runtimes.tiles import ALIGNMENT, restore_tiled

MULTIPLE = 64  # of free sizes: networks of others need not pad by themselves, and halve up to six times
TRIAL_SIZE = 64
LARGEST_CHANGE = 0.25  # mean absolute, of a smooth trial picture in [0, 1]: what deblurs leaves it nearly as it is
WHITES = (1.0, 255.0)

Batch = NDArray[np.float32]


class ForeignRestorer:
    """A graph as its layout says; larger pictures go through in overlapping tiles of its size.

    Raises:
        UnblurError: the graph fails on a trial picture, changes its size, or returns something else than a picture.
    """

    task = "image"

    def __init__(self, session: Session, name: str, sha256: str, layout: Layout) -> None:
        self.name, self.sha256 = name, sha256
        self._session, self._layout = session, layout
        self._white_in, self._white_out = self._tried()

    def __call__(self, batch: Batch) -> Batch:
        """Restore (B, 3, H, W) float32 in [0, 1]."""
        height, width = batch.shape[-2:]
        fixed = self._layout.height, self._layout.width
        if height <= (fixed[0] or height) and width <= (fixed[1] or width):
            return np.concatenate([self._one(image[None]) for image in batch])
        smallest = min(filter(None, fixed))
        tile = fixed[0] or max(height, smallest), fixed[1] or max(width, smallest)
        images = [
            restore_tiled(
                self._one,
                np.ascontiguousarray(image.transpose(1, 2, 0)),
                tile,
                min(64, smallest // 4),
                alignment=min(ALIGNMENT, smallest // 8),
            )
            for image in batch
        ]
        return np.stack(images).transpose(0, 3, 1, 2)

    def _one(self, image: Batch) -> Batch:
        """Restore (1, 3, h, w) that fits, padded to what the graph takes."""
        height, width = image.shape[-2:]
        rows = (self._layout.height or -(-height // MULTIPLE) * MULTIPLE) - height
        columns = (self._layout.width or -(-width // MULTIPLE) * MULTIPLE) - width
        padded = np.pad(image, ((0, 0), (0, 0), (0, rows), (0, columns)), mode="symmetric")
        restored = self._run(padded, self._white_in) / np.float32(self._white_out)
        return restored[:, :, :height, :width]

    def _run(self, image: Batch, white: float) -> Batch:
        """Run (1, 3, H, W) in [0, 1] of the graph's size; what comes out is as the graph gives it."""
        given: NDArray[Any] = image * np.float32(white)
        if self._layout.channels_last:
            given = given.transpose(0, 2, 3, 1)
        if self._layout.whole_numbers:
            given = np.clip(np.rint(given), 0, 255).astype(np.uint8)
        try:
            found = self._session.run({self._layout.input: np.ascontiguousarray(given)})[0].astype(np.float32)
        except SessionError as error:
            msg = f"{self.name}: fails on a picture of {image.shape[-1]} x {image.shape[-2]} ({error})"
            raise UnblurError(msg) from error
        if found.shape == image.shape:
            return found
        if found.shape == (1, *image.shape[2:], 3):
            return found.transpose(0, 3, 1, 2)
        msg = f"{self.name}: returns {found.shape} for {given.shape}, not a picture of that size; take another"
        raise UnblurError(msg)

    def _tried(self) -> tuple[float, float]:
        """Return the values of white, in and out, for which a trial picture comes back as a picture."""
        shape = self._layout.height or TRIAL_SIZE, self._layout.width or TRIAL_SIZE
        trial = _trial(*shape)
        others = () if self._layout.whole_numbers else tuple(each for each in WHITES if each != self._layout.white)
        for white in (self._layout.white, *others):
            returned = self._run(trial, white)
            change, white_out = min((float(np.abs(returned / each - trial).mean()), each) for each in WHITES)
            if change <= LARGEST_CHANGE:  # false for NaN as well
                return white, white_out
        msg = f"{self.name}: what it returns does not look like the picture that it was given; take another model"
        raise UnblurError(msg)


def _trial(height: int, width: int) -> Batch:
    """Return a smooth picture, (1, 3, height, width) in [0.1, 0.9], of another pattern in each channel."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(64)
    waves = np.stack([np.sin(2 * y + x), np.cos(3 * x - y), np.sin(2 * x) * np.cos(2 * y)])
    return (0.5 + 0.4 * waves).astype(np.float32)[None]
