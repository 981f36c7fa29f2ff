"""Bilinear resizing by powers of two with half-pixel centres, written so that every runtime can run it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_by(x: Tensor, steps: int) -> Tensor:
    """Resize (B, C, H, W) by 2**steps, the values of JAX's `image.resize(..., "bilinear")`.

    Upwards this is the usual bilinear interpolation. Downwards the triangle is as wide as the step, so that nothing
    aliases, and what it would take from beyond the border is left out: H and W are multiples of 2**-steps.
    """
    if steps == 0:
        return x
    if steps > 0:
        return F.interpolate(x, scale_factor=2.0**steps, mode="bilinear", align_corners=False)
    factor = 2**-steps
    channels = x.shape[1]
    row = _triangle(factor, x)
    kernel = (row[:, None] * row[None, :]).expand(channels, 1, -1, -1)
    pad = factor // 2
    reduced = F.conv2d(x, kernel, stride=factor, padding=pad, groups=channels)
    inside = F.conv2d(torch.ones_like(x[:1, :1]), (row[:, None] * row[None, :])[None, None], stride=factor, padding=pad)
    return reduced / inside


def _triangle(factor: int, like: Tensor) -> Tensor:
    """Return the 2 * factor weights of the triangle filter; they sum to 1."""
    offsets = torch.arange(2 * factor, dtype=like.dtype, device=like.device) + 0.5 - factor
    weights = 1 - offsets.abs() / factor
    return weights / weights.sum()
