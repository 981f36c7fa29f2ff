"""What one picture can lack to be learnt from: contrast, unclipped pixels, sharpness."""

import cv2
import numpy as np
from numpy.typing import NDArray

_SMOOTH = 2.0  # pixels: noise, which a blurred picture may have more of, is not taken for sharpness


def clipped_share(image: NDArray[np.uint8]) -> float:
    """Return the share of pixels of (H, W, 3) uint8 that are black or white in all channels."""
    low, high = image.min(axis=2), image.max(axis=2)
    return float(((high <= 1) | (low >= 254)).mean())


def contrast(image: NDArray[np.uint8]) -> float:
    """Return the standard deviation in 8-bit steps, of the channel that varies most; (H, W, 3) uint8."""
    return float(cv2.meanStdDev(image)[1].max())


def sharpness(image: NDArray[np.uint8]) -> float:
    """Return the root mean square of the gradient of (H, W, 3) uint8 RGB, in 8-bit steps a pixel, behind a low-pass."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), _SMOOTH)
    x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    return float(np.sqrt((np.square(x) + np.square(y)).mean()))
