"""What may be wrong in a restored picture: where turned inputs get other answers, and where detail is invented."""

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from unblur.explaining.subject import at_once

Field = NDArray[np.float32]
TILE = 32
TAPER = np.outer(np.hanning(TILE + 2)[1:-1], np.hanning(TILE + 2)[1:-1])
ABOVE_NOISE = 4.0  # times the noise's power: below, the input's spectrum holds nothing


def turned(restore: Callable[[Tensor], Tensor], inputs: Tensor) -> tuple[Field, Field]:
    """Return mean (h, w, 3) and spread (h, w) of the answers to a window (K, 3, h, w) turned and mirrored in 8 ways.

    What the scene is does not depend on how it lies; where the answers differ, the network guesses. The spread is the
    standard deviation, root mean square over the colours, in units of white.
    """

    def answer(way: tuple[int, bool]) -> Tensor:
        quarter, mirrored = way
        given = torch.rot90(inputs, quarter, (-2, -1))
        given = given.flip(-1) if mirrored else given
        found = restore(given[None].contiguous())[0]
        return torch.rot90(found.flip(-1) if mirrored else found, -quarter, (-2, -1))

    stacked = torch.stack(at_once(torch.no_grad()(answer), product(range(4), (False, True))))  # (8, 3, h, w)
    spread = stacked.var(dim=0, unbiased=False).mean(dim=0).sqrt()
    return stacked.mean(dim=0).permute(1, 2, 0).numpy(), spread.numpy()


def invented(before: Field, after: Field) -> Field:
    """Return (H, W), 0 to 1: the share of the restored detail at frequencies where the input holds noise alone.

    In overlapping tiles the spectra are compared bin by bin. The noise is what the input's highest frequencies have in
    the flattest tenth of the tiles.

    Args:
        before: the input (H, W, 3) in [0, 1].
        after: the restored picture.
    """
    step = TILE // 2
    one, other = (_padded(picture.mean(axis=2)) for picture in (before, after))
    rows = range(0, one.shape[0] - TILE + 1, step)
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    radius = np.hypot(fy, fx)
    detail = radius > 1.5 / TILE  # the mean and its leakage are no detail
    highest = np.array([np.median(_powers(one, row)[:, radius > 0.4], axis=1) for row in rows])
    noise = max(float(np.quantile(highest, 0.1)) / np.log(2), 1e-8)  # the median of a power is ln 2 of its mean
    small = np.array([_shares(_powers(one, row), _powers(other, row), detail, noise) for row in rows], np.float32)
    size = one.shape[1], one.shape[0]
    whole = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[: before.shape[0], : before.shape[1]], np.float32)


def _powers(plane: Field, row: int) -> NDArray[np.float64]:
    """Return the power spectra (N, TILE, TILE / 2 + 1) of the tiles of a plane (H, W) that begin at this row."""
    band = sliding_window_view(plane[row : row + TILE], TILE, axis=1)[:, :: TILE // 2]  # (TILE, N, TILE)
    return np.asarray(np.abs(np.fft.rfft2(band.transpose(1, 0, 2) * TAPER)) ** 2, np.float64)


def _shares(
    given: NDArray[np.float64], made: NDArray[np.float64], detail: NDArray[np.bool_], noise: float
) -> NDArray[np.float64]:
    """Return for each tile which share of the power that was made lies where none was given."""
    beyond = np.maximum(made - ABOVE_NOISE * noise, 0) * (detail & (given < ABOVE_NOISE * noise))
    return np.asarray(beyond.sum(axis=(1, 2)) / np.maximum((made * detail).sum(axis=(1, 2)), 1e-12), np.float64)


def _padded(plane: Field) -> Field:
    """Return a plane whose sides are multiples of half a tile, and at least a tile."""
    step = TILE // 2
    more = [max(-(-side // step) * step, TILE) - side for side in plane.shape]
    return np.pad(plane, ((0, more[0]), (0, more[1])), mode="symmetric")
