"""Where a photograph is blurred, how much and in which direction: by what the network corrects, and by the input alone.

To second order a sharp picture is s = b - (1/2) sum_ij S_ij d_i d_j b, where b is the blurred one and S the covariance
of its point-spread function. So the correction s - b, fitted by the second derivatives of b, tells the S that the
network has seen. The input alone tells by two bands of its
spectrum: of a step blurred to the variance v, smoothed by a Gaussian of s more, the energy of the slope goes with
1 / sqrt(s^2 + v), so that the ratio of two s tells v, along every direction for itself.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

SMOOTH = 1.0  # pixels: the derivatives' scale, above the noise
AROUND = 24.0  # pixels: the neighbourhood that a blur is told from
COARSER = 4  # pixels along a side that are told together: what changes over AROUND pixels changes little over these
BANDS = (1.0, 2.0)  # pixels
DIRECTIONS = 8
MOST = 100.0  # square pixels: a larger variance cannot be told from these bands
WIDTH = np.sqrt(12.0)  # extent of a straight motion whose light has standard deviation 1


@dataclass(frozen=True)
class BlurMap:
    """Extent (H, W) in pixels along the direction of most blur, that direction in degrees from the x axis, 0 to 180.

    `weight` (H, W) says how much there is to tell it from: 0 in flat places. The direction is counted as in the
    picture's rows: 45 degrees go down to the right.
    """

    extent: Field
    direction: Field
    weight: Field

    @property
    def typical(self) -> float:
        """The extent of the whole picture: the mean by weight."""
        return float((self.extent * self.weight).sum() / max(float(self.weight.sum()), 1e-12))

    @property
    def main_direction(self) -> tuple[float, float]:
        """The direction in degrees that holds for the whole picture, and how much of it agrees, 0 to 1."""
        turned = np.exp(2j * np.deg2rad(self.direction.astype(np.float64)))
        weight = self.weight.astype(np.float64) * self.extent
        mean = complex((turned * weight).sum()) / max(float(weight.sum()), 1e-12)
        return float(np.rad2deg(np.angle(mean)) / 2 % 180), abs(mean)


def from_correction(before: Field, after: Field) -> BlurMap:
    """Return the blur whose removal explains best what a network has done; both (H, W, 3) in [0, 1]."""
    luma, change = (_smooth(_luma(picture)) for picture in (before, after - before))
    x, y = (cv2.Sobel(luma, cv2.CV_32F, *order, ksize=3) / 8 for order in ((1, 0), (0, 1)))
    xx, yy = cv2.Sobel(x, cv2.CV_32F, 1, 0, ksize=3) / 8, cv2.Sobel(y, cv2.CV_32F, 0, 1, ksize=3) / 8
    xy = cv2.Sobel(x, cv2.CV_32F, 0, 1, ksize=3) / 8
    terms = [-0.5 * xx, -xy, -0.5 * yy]
    gram = np.stack([np.stack([_around(a * b) for b in terms], -1) for a in terms], -2)  # (h, w, 3, 3)
    right = np.stack([_around(a * change) for a in terms], -1)[..., None]
    weight = np.trace(gram, axis1=-2, axis2=-1)
    ridge = 0.02 * weight[..., None, None] + 1e-9  # where all edges lie in one direction, the other tells nothing
    sxx, sxy, syy = np.moveaxis(np.linalg.solve(gram + ridge * np.eye(3, dtype=np.float32), right)[..., 0], -1, 0)
    middle, spread = (sxx + syy) / 2, np.hypot((sxx - syy) / 2, sxy)
    extent = WIDTH * np.sqrt(np.maximum(middle + spread, 0))
    direction = np.rad2deg(np.arctan2(2 * sxy, sxx - syy) / 2) % 180
    return _enlarged(extent, direction, weight, before.shape)


def from_spectrum(picture: Field) -> BlurMap:
    """Return the blur that two bands of the spectrum tell, of a picture (H, W, 3) in [0, 1]."""
    luma = _luma(picture)
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    fine, coarse = (_slopes(luma, sigma, angles) for sigma in BANDS)
    ratio = np.maximum(fine / np.maximum(coarse, 1e-9), 1.0001) ** 2
    variance = np.clip((BANDS[1] ** 2 - ratio * BANDS[0] ** 2) / (ratio - 1), 0, MOST)
    most = variance.argmax(axis=0)
    extent = WIDTH * np.sqrt(np.take_along_axis(variance, most[None], axis=0)[0])
    direction = np.rad2deg(angles[most])
    return _enlarged(extent, direction, coarse.mean(axis=0), picture.shape)


def _enlarged(extent: NDArray[Any], direction: NDArray[Any], weight: NDArray[Any], shape: tuple[int, ...]) -> BlurMap:
    """Return the map of a picture of this shape, of fields on the coarser grid."""
    size = shape[1], shape[0]
    smooth = (cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) for each in (extent, weight))
    turned = cv2.resize(direction.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)  # 179 and 1 are no 90
    larger, heavier = (np.asarray(each, np.float32) for each in smooth)
    return BlurMap(larger, np.asarray(turned, np.float32), heavier)


def _slopes(luma: Field, sigma: float, angles: NDArray[np.float64]) -> Field:
    """Return (angles, h, w) on the coarser grid: the energy of the slope along each direction, around each place."""
    smooth = cv2.GaussianBlur(luma, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.stack([_around(np.asarray((np.cos(a) * x + np.sin(a) * y) ** 2, np.float32)) for a in angles])


def _luma(picture: Field) -> Field:
    return np.ascontiguousarray(picture @ np.array([0.299, 0.587, 0.114], np.float32))


def _smooth(values: Field) -> Field:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), SMOOTH, borderType=cv2.BORDER_REFLECT), np.float32)


def _around(values: Field) -> Field:
    """Return the mean around each place of (H, W), on the coarser grid (h, w)."""
    size = [-(-side // COARSER) for side in values.shape[::-1]]
    coarser = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(coarser, (0, 0), AROUND / COARSER, borderType=cv2.BORDER_REFLECT), np.float32)
