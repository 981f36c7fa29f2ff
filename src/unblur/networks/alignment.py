"""Alignment of shots to a reference by local displacements, coarse to fine (Lucas and Kanade 1981, IJCAI).

Without parameters and in closed form, so that it is exported as a part of the network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = (8, 4, 2)
"""Sizes of a pixel at which displacements are sought: shots shift and turn smoothly, and blur hides what is finer."""

WINDOW = 17  # pixels of its scale that are taken to move together
FLAT = 4e-4  # squared slope below which a window says little of its displacement: that of noise


def aligned(shots: Tensor, references: Tensor) -> Tensor:
    """Return `shots` (N, 3, H, W) as `references` (N, 3, H, W) see the scene; H and W are multiples of 8.

    What comes in from beyond a border is its last pixel. Shots may be blurred in different ways: blur about a pixel's
    own place changes brightness, but to both sides alike, and a window averages over that.
    """
    shot, reference = (images.mean(dim=1, keepdim=True) for images in (shots, references))
    seen, wanted = F.avg_pool2d(shot, SCALES[0]), F.avg_pool2d(reference, SCALES[0])
    flow = displacement(seen, wanted)
    for scale in SCALES[1:]:
        seen, wanted, flow = F.avg_pool2d(shot, scale), F.avg_pool2d(reference, scale), twice(flow)
        flow = flow + displacement(moved(seen, flow), wanted)
    return moved(shots, twice(flow))  # (N, 2, H/2, W/2) -> (N, 2, H, W)


def displacement(shot: Tensor, reference: Tensor) -> Tensor:
    """Return where in `shot` each pixel of `reference`, both (N, 1, H, W), lies off its place: x and y, (N, 2, H, W).

    The least squares of a window: its slopes times the displacement are the difference of the two.
    """
    bordered = F.pad(reference, (1, 1, 1, 1), mode="replicate")
    x = (bordered[..., 1:-1, 2:] - bordered[..., 1:-1, :-2]) / 2
    y = (bordered[..., 2:, 1:-1] - bordered[..., :-2, 1:-1]) / 2
    error = reference - shot
    products = torch.cat([x * x + FLAT, x * y, y * y + FLAT, x * error, y * error], dim=1)
    xx, xy, yy, xe, ye = window_mean(products).chunk(5, dim=1)
    return torch.cat([yy * xe - xy * ye, xx * ye - xy * xe], dim=1) / (xx * yy - xy * xy)


def window_mean(x: Tensor) -> Tensor:
    """Return the mean of the window around each pixel of (N, C, H, W), as much of it as there is."""
    half = WINDOW // 2
    rows = F.avg_pool2d(x, (1, WINDOW), 1, (0, half), count_include_pad=False)
    return F.avg_pool2d(rows, (WINDOW, 1), 1, (half, 0), count_include_pad=False)


def moved(images: Tensor, flow: Tensor) -> Tensor:
    """Return `images` (N, C, H, W) looked up at each pixel's place plus `flow` (N, 2, H, W), x and y in pixels."""
    height, width = images.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device) + flow[:, 0]
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1]
    places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)  # (N, H, W, 2), in [-1, 1]
    return F.grid_sample(images, places, padding_mode="border", align_corners=False)


def twice(flow: Tensor) -> Tensor:
    """Return `flow` at twice the size, in pixels half as large."""
    return 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
