"""PSNR after the best shift of the truth, for camera pairs whose truth does not stand exactly where the blur does.

The truth is moved, never the restored image, which stays as it comes out of its file. A windowed sinc moves it:
bicubic interpolation softens the truth by up to half a pixel's blur, which favours blurred answers, and a Fourier shift
lets the opposite border ring in. Whole pixels are moved exactly. Intensity is not matched: a brighter or tinted answer
scores lower, as it should.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics.psnr import FLOOR

BORDER = 16
"""Pixels that are left off at each edge: the reach of the search and of the sinc, HALF_TAPS + MAX_SHIFT + 1."""

MAX_SHIFT = 3
HALF_TAPS = 12
KAISER = 6.0  # flat within 0.1 % up to 0.85 of the highest frequency that an image can hold
STEPS = (0.5, 0.1, 0.02)  # pixels between the samples of the quadratic, round by round

Shift = tuple[float, float]


def psnr_aligned(restored: Tensor, truth: Tensor) -> Tensor:
    """Return the PSNR of each image without its border of 16 pixels, after the best shift of the truth.

    The shift is searched over whole pixels up to 3 each way, then refined to about a hundredth of a pixel by the
    minimum of a quadratic through the squared errors around it. No shift is among those that are compared, so the
    figure is never below the plain PSNR of the same region.

    Args:
        restored: (B, C, H, W) in [0, 1]; values outside are clipped. H and W above 32.
        truth: (B, C, H, W) in [0, 1].

    Returns:
        (B,) float64 in dB, at most 100 (identical images).

    Raises:
        UnblurError: nothing is left inside the border.
    """
    if min(restored.shape[-2:]) <= 2 * BORDER:
        height, width = restored.shape[-2:]
        msg = f"psnr/aligned leaves {BORDER} pixels off at each edge; got {width} x {height}, expected more than 32"
        raise UnblurError(msg)
    errors = [_least_error(one, other) for one, other in zip(restored.clamp(0, 1), truth, strict=True)]
    return -10 * torch.tensor(errors, dtype=torch.float64).clamp(min=FLOOR).log10()


def shifted(image: Tensor, shift: Shift) -> Tensor:
    """Return (C, H - 32, W - 32): the inside of `image` (C, H, W), each pixel read `shift` = (down, right) beside it.

    Shifts go up to 4 pixels. Values stay in [0, 1].
    """
    for axis, offset in ((1, shift[0]), (2, shift[1])):
        whole = round(offset)
        length = image.shape[axis] - 2 * BORDER
        if offset == whole:
            image = image.narrow(axis, BORDER + whole, length)
            continue
        taps = torch.arange(-HALF_TAPS, HALF_TAPS + 1, dtype=torch.float64) - (offset - whole)
        window = torch.special.i0(KAISER * (1 - (taps / (HALF_TAPS + 1)).square()).clamp(min=0).sqrt())
        kernel = torch.sinc(taps) * window
        first = BORDER + whole - HALF_TAPS
        shape = [length if i == axis else side for i, side in enumerate(image.shape)]
        moved = image.new_zeros(shape)
        for i, weight in enumerate((kernel / kernel.sum()).tolist()):  # ten times as fast as conv2d of one channel
            moved.add_(image.narrow(axis, first + i, length), alpha=weight)
        image = moved.clamp_(0, 1)
    return image


def _least_error(restored: Tensor, truth: Tensor) -> float:
    """Return the mean squared error of two (C, H, W) images at the best shift."""
    inside = shifted(restored, (0, 0))
    known: dict[Shift, float] = {}

    def error(shift: Shift) -> float:
        if shift not in known:
            difference = shifted(truth, shift) - inside
            known[shift] = float(difference.square_().sum(dtype=torch.float64)) / difference.numel()
        return known[shift]

    reach = range(-MAX_SHIFT, MAX_SHIFT + 1)
    best = min(((float(y), float(x)) for y, x in itertools.product(reach, reach)), key=error)
    for step in STEPS:
        if error(best) <= FLOOR:
            break
        best = min(best, _bottom(error, best, step), key=error)
    return error(best)


def _bottom(error: Callable[[Shift], float], at: Shift, step: float) -> Shift:
    """Return the minimum of the quadratic through samples `step` around `at`, not further than that in either way."""
    y, x = at
    here = error(at)
    up, down, left, right = error((y - step, x)), error((y + step, x)), error((y, x - step)), error((y, x + step))
    slope = torch.tensor([down - up, right - left], dtype=torch.float64) / 2
    cross = error((y + step, x + step)) - down - right + here
    curve = torch.tensor(
        [[up - 2 * here + down, cross], [cross, left - 2 * here + right]], dtype=torch.float64
    )  # of a unit step
    if float(curve[0, 0]) <= 0 or float(torch.linalg.det(curve)) <= 0:  # no bowl: a flat picture, or noise
        return at
    dy, dx = (-torch.linalg.solve(curve, slope)).clamp(-1, 1).tolist()
    limit = MAX_SHIFT + 0.5
    return max(-limit, min(limit, y + step * dy)), max(-limit, min(limit, x + step * dx))
