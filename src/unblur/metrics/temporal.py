"""Temporal consistency: how much the error of a restored video changes from frame to frame, which is what flickers."""

from torch import Tensor


def temporal_error(restored: Tensor, truth: Tensor) -> Tensor:
    """Return the mean change of the error between neighbouring frames, in 8-bit steps, for each clip, (B,).

    It is mean |(restored_t - truth_t) - (restored_{t-1} - truth_{t-1})| * 255: an error that stands still costs
    nothing, and neither does motion that the truth has too.

    Args:
        restored: (B, T, 3, H, W) in [0, 1], T at least 2.
        truth: the same.
    """
    error = restored - truth
    change: Tensor = (error[:, 1:] - error[:, :-1]).abs().mean(dim=(1, 2, 3, 4)) * 255
    return change
