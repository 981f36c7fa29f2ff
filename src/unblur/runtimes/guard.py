"""The guard: whatever a network answers, no colour cast, mosaic, ringing or NaN is handed on; NumPy and OpenCV alone.

An answer is compared with its input in cells of 8 pixels, as 8-bit values. Four things are bounded, each by a floor
plus a share of the contrast that the input has around the cell, because sharpening moves values only where there is
something to sharpen:

- brightness: means over some 64 pixels. Blur moves light, it makes none; shake moves it by tens of pixels.
- colour cast: the colour of means over some 32 pixels. What moves light hardly moves colour.
- ringing: values beyond both ends of the input's range around them (some 40 pixels), on average over 24 pixels.
- mosaic: colour that changes from pixel to pixel, as Cb and Cr less their mean over 3 x 3 pixels, on average over 24
  pixels, beyond what changes so in the input around it.

The bounds are wide: a sharp photograph must pass as the answer to a strongly blurred one, shifted by a pixel too.

Values that are not finite are broken in any case. A broken cell and the two beside it go back to the input; the change
fades out over two cells. Where nothing is broken, the answer is returned as it is, bit for bit.
"""

from collections.abc import Sequence
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
_WIDE = np.ones((7, 7), np.uint8)  # cells
_AREA = (3, 3)  # cells; what is no larger is no fault that an eye sees, but may be a lamp or a line

Image = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Cells = NDArray[np.float32]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Bounds:
    """What an answer may do, in steps of 255: a floor, and a share of the contrast of the input around it."""

    brightness: float = 8.0
    brightness_share: float = 0.1
    cast: float = 12.0
    cast_share: float = 0.1  # of the contrast of Cb and Cr, as in mosaic_share
    ringing: float = 60.0
    ringing_share: float = 1.5
    mosaic: float = 20.0
    mosaic_share: float = 0.2

    @property
    def floors(self) -> tuple[float, float, float, float]:
        """Return the floors of all KINDS but the first."""
        return self.brightness, self.cast, self.ringing, self.mosaic


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


def mend(before: NDArray[Any], after: Image, bounds: Bounds | None = None) -> tuple[Image, list[Broken]]:
    """Put back to the input what breaks the bounds.

    Args:
        before: the network's input, (H, W, 3): float32 in [0, 1], uint8 or uint16.
        after: its answer, (H, W, 3) float32; values outside [0, 1] count as clipped.
        bounds: the default ones if None.

    Returns:
        The answer, itself if nothing is broken, and the places that were put back.
    """
    bounds = bounds or Bounds()
    # A sum is finite only if all that it adds is; as it may overflow, the values are looked at then.
    finite = None if np.isfinite(after.sum()) else np.isfinite(after)
    mended: Image = after if finite is None else np.where(finite, after, _scaled(before))
    seen = _Seen(_eight_bit(before))
    broken = seen.broken(_eight_bit(mended), bounds)
    if finite is not None:
        broken[0] = (_extreme(finite.astype(np.uint8), np.minimum) == 0).any(axis=2)
    if not broken.any():
        return after, []
    taken = _scaled(before)
    whole: Marks = np.asarray(broken.any(axis=0))
    for _ in range(_PASSES):
        weight = _weights(whole, before.shape[:2])
        put_back = mended + weight[..., None] * (taken - mended)
        again = seen.broken(_eight_bit(put_back), bounds)
        if not again.any():
            return put_back, _places(broken, whole, before.shape[:2])
        broken |= again
        whole |= again.any(axis=0)
    return taken.copy(), _places(broken, np.ones_like(whole), before.shape[:2])


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
        self.low = cv2.erode(_extreme(before, np.minimum), _AROUND)
        self.high = cv2.dilate(_extreme(before, np.maximum), _AROUND)
        self.contrast: Cells = cv2.subtract(self.high, self.low).astype(np.float32)
        self.wide: Cells = cv2.dilate(_largest(self.contrast), _AROUND).astype(np.float32)
        self.chroma: Cells = _chroma_contrast(self.means)
        self.detail: Cells = cv2.dilate(_detail(before), _AROUND).astype(np.float32)

    def broken(self, after: Pixels, bounds: Bounds) -> Marks:
        """Return which cells break which of KINDS: (5, rows, columns); none is "not finite", as 8-bit values are."""
        marks = [each > floor for each, floor in zip(self.beyond(after, bounds), bounds.floors, strict=True)]
        return np.stack([np.zeros_like(marks[0]), *marks])

    def beyond(self, after: Pixels, bounds: Bounds) -> tuple[Cells, Cells, Cells, Cells]:
        """Return what each cell does beyond the share of the contrast, of all KINDS but the first."""
        moved_by = _means(after) - self.means
        near = cv2.GaussianBlur(moved_by, (0, 0), 2.0)
        brightness = np.abs(cv2.GaussianBlur(_grey(moved_by), (0, 0), 4.0))
        cast = _largest(np.abs(near - _grey(near)[..., None]))
        above = cv2.subtract(_extreme(after, np.maximum), self.high)
        below = cv2.subtract(self.low, _extreme(after, np.minimum))
        over = cv2.min(*(cv2.blur(each.astype(np.float32), _AREA) for each in (above, below)))
        mosaic = cv2.blur(_detail(after), _AREA) - self.detail
        return (
            brightness - bounds.brightness_share * self.wide,
            cast - bounds.cast_share * self.chroma,
            _largest(over - bounds.ringing_share * self.contrast),
            mosaic - bounds.mosaic_share * self.chroma,
        )


def _chroma_contrast(means: Cells) -> Cells:
    """Return how far colour differs around each cell."""
    chroma = means - _grey(means)[..., None]
    return _largest(cv2.subtract(cv2.dilate(chroma, _WIDE), cv2.erode(chroma, _WIDE)))


def _grey(cells: Cells) -> Cells:
    grey: Cells = cv2.transform(cells, np.full((1, 3), 1 / 3)).reshape(cells.shape[:2])
    return grey


def _largest(cells: NDArray[Any]) -> Cells:
    """Return the largest of the three channels; a reduction over so short an axis is far slower."""
    largest: Cells = np.maximum(np.maximum(cells[..., 0], cells[..., 1]), cells[..., 2])
    return largest


def _detail(pixels: Pixels) -> Cells:
    """Return how much colour changes from pixel to pixel in each cell, as Cr and Cb less their mean over 3 x 3."""
    chroma = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    changes = _means(cv2.absdiff(chroma, cv2.blur(chroma, (3, 3))).astype(np.uint8, copy=False))
    largest: Cells = np.maximum(changes[..., 1], changes[..., 2])
    return largest


def _scaled(pixels: NDArray[Any]) -> Image:
    if pixels.dtype == np.float32:
        return pixels
    scaled: Image = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return scaled


def _eight_bit(image: NDArray[Any]) -> Pixels:
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    factor = 255 / (1 if image.dtype == np.float32 else np.iinfo(image.dtype).max)
    # Plane by plane, as networks give them: so nothing is transposed as floats.
    planes = [cv2.multiply(image[..., channel], factor, dtype=cv2.CV_8U) for channel in range(3)]
    return np.asarray(cv2.merge(planes), np.uint8).reshape(image.shape)


def _padded(pixels: Pixels) -> Pixels:
    bottom, right = -pixels.shape[0] % CELL, -pixels.shape[1] % CELL
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), "edge") if bottom or right else pixels


def _extreme(pixels: Pixels, pick: np.ufunc) -> Pixels:
    """Return the largest or smallest value of each cell, by np.maximum or np.minimum: (rows, columns, channels)."""
    padded = _padded(pixels)
    height, width, channels = padded.shape
    rows = pick.reduce(padded.reshape(height // CELL, CELL, width * channels), axis=1)
    cells = rows.reshape(height // CELL, width // CELL, CELL, channels)
    found: Pixels = cells[:, :, 0]
    for column in range(1, CELL):  # a reduction over such short axes is far slower
        found = pick(found, cells[:, :, column])
    return found


def _means(pixels: Pixels) -> Cells:
    """Return the mean of each cell, as whole numbers."""
    padded = _padded(pixels)
    size = padded.shape[1] // CELL, padded.shape[0] // CELL
    means: Cells = cv2.resize(padded, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return means


def _weights(whole: Marks, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the input's share of each pixel: all in these cells and the two beside them, none from the fourth on."""
    grown = cv2.dilate(whole.astype(np.float32), _WIDE)
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
