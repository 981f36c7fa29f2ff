"""The colour filter array: one colour a pixel in the pattern RGGB, and its linear interpolation back to three.

The interpolation is that of Malvar, He and Cutler 2004 (ICASSP): bilinear, corrected by the Laplacian of the colour
that was measured.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.blur.light import Linear

_GREEN = np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]) / 8
"""Green where red or blue was measured."""

_BESIDE = np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]) / 8
"""Red or blue where green was measured, with its neighbours in the row; transposed, in the column."""

_ACROSS = (
    np.array([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]) / 8
)
"""Red where blue was measured, and blue where red was."""


def mosaic(linear: Linear) -> NDArray[np.float32]:
    """Return (H, W): of each pixel of `linear` (H, W, 3) the colour that its filter lets through."""
    raw = linear[..., 1].copy()
    raw[::2, ::2] = linear[::2, ::2, 0]
    raw[1::2, 1::2] = linear[1::2, 1::2, 2]
    return raw


def demosaic(raw: NDArray[np.float32]) -> Linear:
    """Return (H, W, 3) of a mosaic (H, W); linear in it, so noise can go through by itself."""
    green, row, column, across = (
        cv2.filter2D(raw, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
        for kernel in (_GREEN, _BESIDE, _BESIDE.T.copy(), _ACROSS)
    )
    linear: Linear = np.repeat(raw[..., None], 3, axis=2)
    linear[::2, ::2, 1], linear[1::2, 1::2, 1] = green[::2, ::2], green[1::2, 1::2]
    linear[::2, 1::2, 0], linear[::2, 1::2, 2] = row[::2, 1::2], column[::2, 1::2]
    linear[1::2, ::2, 0], linear[1::2, ::2, 2] = column[1::2, ::2], row[1::2, ::2]
    linear[::2, ::2, 2], linear[1::2, 1::2, 0] = across[::2, ::2], across[1::2, 1::2]
    return linear
