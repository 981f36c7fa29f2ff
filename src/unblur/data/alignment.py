"""Whether the truth stands where the blurred picture does: phase correlation (Kuglin & Hines 1975).

Phase correlation weighs all frequencies alike, so a long blur can show a false peak. A shift therefore counts only
where undoing it brings the two pictures closer together.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.config.schema import CheckConfig
from unblur.data.near_duplicates import fingerprint
from unblur.errors import UnblurError
from unblur.images.exif import upright

WINDOW = 512  # pixels a side, in the middle: whole large pictures would take ten times as long
_SMOOTH = 1.5  # pixels: noise and aliasing have no phase worth looking at
_ALIKE = 0.5  # correlation of a blurred picture and its truth: 0.9 and more where nothing is wrong
_STILL = 0.25  # pixels: less is what the measurement itself errs by

Plane = NDArray[np.float32]


def measure_turn(blur: Plane, sharp: Plane) -> tuple[int, float]:
    """Return the EXIF orientation (1 to 8) in which a blurred picture fits its truth best, and what it brings.

    Args:
        blur: small grey version, square, whose low frequencies no blur takes away.
        sharp: the truth's, of the same size.

    Returns:
        The orientation, and how much better it correlates than the picture as it is, in [0, 2]. A picture of something
        else fits in no orientation: 1 and 0.
    """
    fits = {turn: _correlation(upright(blur, turn), sharp) for turn in range(1, 9)}
    best = max(fits, key=lambda turn: (fits[turn], -turn))
    return (best, fits[best] - fits[1]) if fits[best] > _ALIKE else (1, 0.0)


def find_turn(
    blur: Plane, sharp: Plane, sizes: tuple[tuple[int, int], tuple[int, int]], min_gain: float, min_contrast: float
) -> int | None:
    """Return the EXIF orientation (2 to 8) that a blurred picture needs to show what its truth shows; None for none.

    Args:
        blur: as for `measure_turn`.
        sharp: as for `measure_turn`.
        sizes: width and height of the whole pictures; a turn by a quarter exchanges them.
        min_gain: least that the turn brings, as a correlation.
        min_contrast: least standard deviation of both, in steps of 255: flat pictures fit in any way.
    """
    turn, gain = measure_turn(blur, sharp)
    fits = sizes[0] == (sizes[1] if turn < 5 else sizes[1][::-1])
    found = fits and gain > min_gain and min(float(blur.std()), float(sharp.std())) >= min_contrast
    return turn if found else None


def refuse_turned(name: str, blur: NDArray[np.uint8], sharp: NDArray[np.uint8], limits: CheckConfig) -> None:
    """Do nothing for a blurred picture, called `name`, that lies as its truth does; both (H, W, 3) uint8.

    Raises:
        UnblurError: turned or mirrored it fits its truth much better.
    """
    greys = (fingerprint(blur).grey, fingerprint(sharp).grey)
    sizes = ((blur.shape[1], blur.shape[0]), (sharp.shape[1], sharp.shape[0]))
    turn = find_turn(*greys, sizes, limits.turn_gain, limits.min_contrast)
    if turn is not None:
        msg = f"{name}: fits its truth as EXIF orientation {turn} would show it; turn it, or leave the pair out"
        raise UnblurError(msg)


def _correlation(first: Plane, second: Plane) -> float:
    a, b = first - first.mean(), second - second.mean()
    norm = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


@dataclass(frozen=True)
class Shift:
    """How far the truth lies from the blurred picture, in pixels to the right and down.

    `gain` is the share of their mean squared difference that goes away when the shift is undone.
    """

    x: float
    y: float
    gain: float

    @property
    def size(self) -> float:
        """Pixels, in any direction."""
        return float(np.hypot(self.x, self.y))


def measure_shift(blur: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> Shift:
    """Return the shift of `sharp` against `blur`, both (H, W, 3) uint8 RGB of one size."""
    a, b = (_middle(image) for image in (blur, sharp))
    height, width = a.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F) if min(a.shape) > 1 else np.ones_like(a)
    (x, y), _ = cv2.phaseCorrelate(a - a.mean(), b - b.mean(), window)
    if np.hypot(x, y) < _STILL:
        return Shift(float(x), float(y), 0.0)
    if _gain(a, b, x, y) > 0:
        x, y = _refined(a, b, x, y)
    return Shift(float(x), float(y), _gain(a, b, x, y))


def _gain(a: Plane, b: Plane, x: float, y: float) -> float:
    """Return the share of the squared difference that goes when `b` is moved back; -1 if that leaves nothing."""
    height, width = a.shape
    left, top = int(np.ceil(abs(x))) + 2, int(np.ceil(abs(y))) + 2  # where neither reaches over the edge
    if 2 * left >= width or 2 * top >= height:
        return -1.0
    back = cv2.warpAffine(b, np.array([[1, 0, -x], [0, 1, -y]], np.float32), (width, height))
    inner = (slice(top, height - top), slice(left, width - left))
    before, after = (float(np.square(a[inner] - other[inner]).mean()) for other in (b, back))
    return 1 - after / before if before > 0 else 0.0


def _refined(a: Plane, b: Plane, x: float, y: float) -> tuple[float, float]:
    """Return the shift of the best correlation near (x, y) (Evangelidis & Psarakis 2008): blur draws the peak aside."""
    start = np.array([[1, 0, x], [0, 1, y]], np.float32)
    steps = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    try:
        _, found = cv2.findTransformECC(a, b, start, cv2.MOTION_TRANSLATION, steps, None, 5)
    except cv2.error:  # it did not converge: what the peak said stays
        return x, y
    return float(found[0, 2]), float(found[1, 2])


def _middle(image: NDArray[np.uint8]) -> Plane:
    top, left = (max(0, (side - WINDOW) // 2) for side in image.shape[:2])
    part = np.ascontiguousarray(image[top : top + WINDOW, left : left + WINDOW])
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth: Plane = cv2.GaussianBlur(grey, (0, 0), _SMOOTH)
    return smooth
