"""The guard: whatever a network answers, no colour cast, mosaic, ringing or NaN is handed on; NumPy and OpenCV alone.

An answer is compared with its input in cells of 8 pixels, as 8-bit values. Four things are bounded, each by a floor
plus a share of the contrast that the input has around the cell, because sharpening moves values only where there is
something to sharpen:

- brightness: means over some 64 pixels. Blur moves light, it makes none; shake moves it by tens of pixels.
- colour cast: the colour of means over some 32 pixels. What moves light hardly moves colour.
- ringing: values outside the range of the input around them (some 40 pixels).
- mosaic: colour that changes from pixel to pixel, as Cb and Cr less their mean over 3 x 3 pixels, beyond what changes
  so in the input around it.

The bounds leave MAXIM's answers to real pairs of GoPro and to our recipes alone, by a factor of 1.4 or more.

Values that are not finite are broken in any case. A broken cell and its neighbours go back to the input; the change
fades out over two cells. Where nothing is broken, the answer is returned as it is, bit for bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

CELL = 8
"""Side of a cell in pixels."""

KINDS = ("not finite", "brightness", "colour cast", "ringing", "mosaic")

_PASSES = 4  # putting a place back moves the means beside it; after these the whole goes back
_AROUND = np.ones((5, 5), np.uint8)  # cells

Image = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Cells = NDArray[np.float32]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Bounds:
    """What an answer may do, in steps of 255: a floor, and a share of the contrast of the input around it."""

    brightness: float = 6.0
    brightness_share: float = 0.1
    cast: float = 5.0
    cast_share: float = 0.1  # of the contrast of Cb and Cr, as in mosaic_share
    ringing: float = 24.0
    ringing_share: float = 1.5
    mosaic: float = 5.0
    mosaic_share: float = 0.2


@dataclass(frozen=True)
class Broken:
    """A place where an answer broke bounds: what it did there, most frequent first, and its box in pixels."""

    kinds: tuple[str, ...]
    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{' and '.join(self.kinds)} at {self.left},{self.top} ({self.width} x {self.height})"


def mend(before: Image, after: Image, bounds: Bounds | None = None) -> tuple[Image, list[Broken]]:
    """Put back to the input what breaks the bounds.

    Args:
        before: the network's input, (H, W, 3) float32 in [0, 1].
        after: its answer, of the same shape; values outside [0, 1] count as clipped.
        bounds: the default ones if None.

    Returns:
        The answer, itself if nothing is broken, and the places that were put back.
    """
    bounds = bounds or Bounds()
    finite = np.isfinite(after)
    lost = None if finite.all() else ~finite.all(axis=2)
    mended: Image = after if lost is None else np.where(finite, after, before)
    seen = _Seen(_eight_bit(before))
    broken = seen.broken(_eight_bit(mended), bounds)
    if lost is not None:
        broken[0] = _extreme(np.asarray(lost, np.uint8), cv2.dilate) > 0
    if not broken.any():
        return after, []
    whole: Marks = np.asarray(broken.any(axis=0))
    for _ in range(_PASSES):
        weight = _weights(whole, before.shape[:2])
        put_back = mended + weight[..., None] * (before - mended)
        again = seen.broken(_eight_bit(put_back), bounds)
        if not again.any():
            return put_back, _places(broken, whole, before.shape[:2])
        broken |= again
        whole |= again.any(axis=0)
    return before.copy(), _places(broken, np.ones_like(whole), before.shape[:2])


def find_broken(before: Pixels, after: Pixels, bounds: Bounds | None = None) -> list[Broken]:
    """Return the places where `after` breaks the bounds against `before`, both (H, W, 3) uint8."""
    broken = _Seen(before).broken(after, bounds or Bounds())
    return _places(broken, np.asarray(broken.any(axis=0)), before.shape[:2]) if broken.any() else []


def mend_batch(before: Image, after: Image) -> tuple[Image, list[Broken]]:
    """Do as `mend` with batches (B, 3, H, W)."""
    places: list[Broken] = []
    mended = after
    for index in range(len(after)):
        image, found = mend(before[index].transpose(1, 2, 0), after[index].transpose(1, 2, 0))
        if found:
            mended = after.copy() if mended is after else mended
            mended[index] = image.transpose(2, 0, 1)
            places += found
    return mended, places


def moved(places: Sequence[Broken], left: int, top: int) -> list[Broken]:
    """Return the places of a part of an image in the pixels of the whole."""
    return [replace(place, left=place.left + left, top=place.top + top) for place in places]


def describe(places: Sequence[Broken], shown: int = 3) -> str:
    """Say in one line how many places were put back, which and why."""
    count = f"{len(places)} place{'' if len(places) == 1 else 's'}"
    more = f"; {len(places) - shown} more" if len(places) > shown else ""
    return f"guard: {count} put back to the input: {'; '.join(map(str, places[:shown]))}{more}"


class _Seen:
    """What is known of an input: its means, and range and contrast around each cell."""

    def __init__(self, before: Pixels) -> None:
        self.means = _means(before)
        self.low, self.high = _around(before)
        self.contrast: Cells = cv2.subtract(self.high, self.low).astype(np.float32)
        chroma = _chroma(before)
        low, high = _around(chroma)
        self.chroma: Cells = cv2.subtract(high, low).astype(np.float32)
        self.detail: Cells = cv2.dilate(_detail(chroma), _AROUND).astype(np.float32)

    def broken(self, after: Pixels, bounds: Bounds) -> Marks:
        """Return which cells break which of KINDS, all but the first: (5, rows, columns)."""
        moved_by = _means(after) - self.means
        brightness = np.abs(cv2.GaussianBlur(moved_by.mean(axis=2), (0, 0), 4.0))
        contrast = cv2.dilate(self.contrast.max(axis=2), _AROUND)
        near = cv2.GaussianBlur(moved_by, (0, 0), 2.0)
        cast = np.abs(near - near.mean(axis=2, keepdims=True)).max(axis=2)
        detail = _detail(_chroma(after)) - self.detail
        above = cv2.subtract(_extreme(after, cv2.dilate), self.high)
        below = cv2.subtract(self.low, _extreme(after, cv2.erode))
        over = cv2.max(above, below)
        return np.stack(
            [
                np.zeros(cast.shape, bool),
                brightness > bounds.brightness + bounds.brightness_share * contrast,
                cast > bounds.cast + bounds.cast_share * self.chroma.max(axis=2),
                (over > bounds.ringing + bounds.ringing_share * self.contrast).any(axis=2),
                (detail > bounds.mosaic + bounds.mosaic_share * self.chroma).any(axis=2),
            ]
        )


def _chroma(pixels: Pixels) -> Pixels:
    """Return Cr and Cb, (H, W, 2)."""
    return np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., 1:]).astype(np.uint8, copy=False)


def _detail(chroma: Pixels) -> Cells:
    """Return how much colour changes from pixel to pixel in each cell."""
    return _means(cv2.absdiff(chroma, cv2.blur(chroma, (3, 3))).astype(np.uint8, copy=False))


def _around(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Return the smallest and largest value in and around each cell."""
    low, high = cv2.erode(_extreme(pixels, cv2.erode), _AROUND), cv2.dilate(_extreme(pixels, cv2.dilate), _AROUND)
    return low.astype(np.uint8, copy=False), high.astype(np.uint8, copy=False)


def _eight_bit(image: Image) -> Pixels:
    # One channel wide: OpenCV takes a plain number for the factor of the first channel alone.
    flat = cv2.multiply(np.ascontiguousarray(image).reshape(image.shape[0], -1), 255.0, dtype=cv2.CV_8U)
    return np.asarray(flat, np.uint8).reshape(image.shape)


def _padded(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    bottom, right = -height % CELL, -width % CELL
    if not bottom and not right:
        return pixels
    padded: Pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    return padded


def _extreme(pixels: Pixels, pick: Callable[..., Any]) -> Pixels:
    """Return the largest or smallest value of each cell, by cv2.dilate or cv2.erode."""
    found = pick(_padded(pixels), np.ones((CELL, CELL), np.uint8), anchor=(0, 0))
    return np.ascontiguousarray(found[::CELL, ::CELL])


def _means(pixels: Pixels) -> Cells:
    """Return the mean of each cell, as whole numbers."""
    padded = _padded(pixels)
    size = padded.shape[1] // CELL, padded.shape[0] // CELL
    means: Cells = cv2.resize(padded, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return means


def _weights(whole: Marks, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the input's share of each pixel: all in these cells and those beside them, none from the third on."""
    grown = cv2.dilate(whole.astype(np.float32), _AROUND)
    faded = cv2.blur(grown, (3, 3))
    size = whole.shape[1] * CELL, whole.shape[0] * CELL
    weights: Cells = cv2.resize(faded, size, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]].astype(np.float32)
    return weights


def _places(broken: Marks, whole: Marks, shape: tuple[int, ...]) -> list[Broken]:
    """Return the places that cells form which touch each other."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(whole.astype(np.uint8), connectivity=8)
    places = []
    for label in range(1, count):
        hits = broken[:, labels == label].sum(axis=1)
        kinds = tuple(KINDS[kind] for kind in np.argsort(-hits, kind="stable") if hits[kind])
        left, top, width, height = (int(side) * CELL for side in boxes[label, :4])
        places.append(Broken(kinds, left, top, min(width, shape[1] - left), min(height, shape[0] - top)))
    return places
