"""The colour filter array: one colour a pixel in the pattern RGGB, and its interpolation back to three."""

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.blur.light import Linear

_BORDER = 2  # even, so that the pattern begins with red also in the mirrored border
_BLACK = 8192.0  # steps below black are kept for noise that makes a value negative
_WHITE = 65535.0


def mosaic(linear: Linear) -> NDArray[np.float32]:
    """Return (H, W): of each pixel of `linear` (H, W, 3) the colour that its filter lets through."""
    raw = linear[..., 1].copy()
    raw[::2, ::2] = linear[::2, ::2, 0]
    raw[1::2, 1::2] = linear[1::2, 1::2, 2]
    return raw


def demosaic(raw: NDArray[np.float32]) -> Linear:
    """Return (H, W, 3) of a mosaic (H, W), by OpenCV's edge-aware interpolation; values above 1 are clipped."""
    steps = np.clip(raw * (_WHITE - _BLACK) + _BLACK, 0, _WHITE)
    wide = cv2.copyMakeBorder(
        np.rint(steps).astype(np.uint16), _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REFLECT_101
    )
    colour = cv2.cvtColor(wide, cv2.COLOR_BayerRGGB2RGB_EA)[_BORDER:-_BORDER, _BORDER:-_BORDER]
    linear: Linear = (colour.astype(np.float32) - np.float32(_BLACK)) / np.float32(_WHITE - _BLACK)
    return linear
