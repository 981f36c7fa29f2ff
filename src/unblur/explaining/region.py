"""The place that is explained: a square region of the photograph, in a window that holds what the model may look at."""

import operator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.errors import UsageError

SMALLEST, SIZE, WINDOW = 8, 32, 128  # pixels a side: of a region at least and usually, of what it is explained in
LEAST = 16  # pixels a side of a picture: the smallest parts that are taken away are a sixteenth of a window
RIM = 24  # pixels: there a network sees padding, and corrects what no photograph has


@dataclass(frozen=True)
class Region:
    """A square of `size` pixels whose top left corner lies at column `left` and row `top`."""

    left: int
    top: int
    size: int

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.top, self.top + self.size)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left, self.left + self.size)

    def inside(self, other: "Region") -> "Region":
        """Return the same square in the coordinates of one that holds it."""
        return Region(self.left - other.left, self.top - other.top, self.size)


def region_at(x: int, y: int, size: int, height: int, width: int) -> Region:
    """Return the square of `size` pixels around column x and row y.

    Raises:
        UsageError: it does not lie in a picture of that height and width, or is larger than a window.
    """
    x, y, size = map(operator.index, (x, y, size))  # NumPy's integers are not those that JSON knows
    smaller = min(height, width)
    largest = min(smaller, WINDOW)
    if not SMALLEST <= size <= largest:
        msg = f"--size {size}: expected {SMALLEST} to {largest}, as the picture is {width} x {height}"
        raise UsageError(msg)
    region = Region(x - size // 2, y - size // 2, size)
    if min(region.left, region.top) < 0 or region.left + size > width or region.top + size > height:
        low, high = size // 2, (width - size + size // 2, height - size + size // 2)
        msg = (
            f"--at {x},{y}: a region of {size} pixels around it leaves the picture, which is {width} x {height}; "
            f"expected {low} to {high[0]} and {low} to {high[1]}"
        )
        raise UsageError(msg)
    return region


def most_corrected(before: NDArray[np.float32], after: NDArray[np.float32], size: int) -> Region:
    """Return the square where a model changes most, of pictures (H, W, 3) in [0, 1].

    It lies off the rim, by at most an eighth of the picture. What is changed counts where the picture is at least as
    steep as on the average: in flat places a model takes away noise, which says nothing of deblurring.
    """
    luma = cv2.GaussianBlur(before.mean(axis=2), (0, 0), 1.0)  # noise is not steep
    slope = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1))
    change = ((after - before) ** 2).mean(axis=2) * (slope >= slope.mean())
    height, width = change.shape
    rim = min(RIM, min(height, width) // 8)
    down, right = min(rim, (height - size) // 2), min(rim, (width - size) // 2)
    # With the anchor at (0, 0) the value at a pixel is the mean over the square that begins there.
    mean = cv2.boxFilter(change, cv2.CV_64F, (size, size), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    inner = mean[down : height - down - size + 1, right : width - right - size + 1]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return Region(int(left) + right, int(top) + down, size)


def window_around(region: Region, side: int, height: int, width: int) -> Region:
    """Return the window of about `side` pixels with the region in its middle, moved into the picture."""
    side = min(max(side, region.size), height, width)
    left = min(max(region.left + region.size // 2 - side // 2, 0), width - side)
    top = min(max(region.top + region.size // 2 - side // 2, 0), height - side)
    return Region(left, top, side)
