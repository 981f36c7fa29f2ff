"""Structural similarity (Wang et al. 2004) of each image of a batch, in the two forms that papers report."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.errors import UnblurError

WINDOW = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
CENTRE = 0.5  # taken off before squaring: a variance as a difference of small numbers is exact in float32


def ssim_matlab3d(restored: Tensor, truth: Tensor) -> Tensor:
    """SSIM with an 11x11x11 Gaussian over height, width and channels, borders replicated in all three.

    What NAFNet and the tables of many papers report. Any image size from 1x1 on.

    Args:
        restored: (B, C, H, W) in [0, 1]; values outside are clipped.
        truth: (B, C, H, W) in [0, 1].

    Returns:
        (B,) float64, at most 1.
    """
    radius = WINDOW // 2
    mixing = _channel_mixing(restored.shape[1]).to(restored.device)

    def blur(maps: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        maps = torch.einsum("dc,nchw->ndhw", mixing, maps)
        return _gaussian(F.pad(maps, (radius, radius, radius, radius), mode="replicate"))

    return _mean_ssim(restored, truth, blur)


def ssim_per_channel(restored: Tensor, truth: Tensor) -> Tensor:
    """SSIM with an 11x11 Gaussian on each channel, only where the window fits; the mean over channels.

    What BasicSR and MMagic report.

    Args:
        restored: (B, C, H, W) in [0, 1]; values outside are clipped.
        truth: (B, C, H, W) in [0, 1].

    Returns:
        (B,) float64, at most 1.

    Raises:
        UnblurError: the image is smaller than the window in height or width.
    """
    height, width = restored.shape[-2:]
    if min(height, width) < WINDOW:
        msg = (
            f"ssim/per-channel needs images of at least {WINDOW}x{WINDOW} pixels, this one is {width}x{height}: "
            "leave it out, or use ssim/matlab3d"
        )
        raise UnblurError(msg)
    return _mean_ssim(restored, truth, _gaussian)


def _mean_ssim(restored: Tensor, truth: Tensor, blur: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the mean of the SSIM map, (B, C, H, W) -> (B,), with `blur` as the local mean."""
    x = restored.clamp(0, 1).float() - CENTRE
    y = truth.float() - CENTRE
    mean_x, mean_y, xx, yy, xy = blur(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    variance_x, variance_y = xx - mean_x * mean_x, yy - mean_y * mean_y
    covariance = xy - mean_x * mean_y
    mean_x, mean_y = mean_x + CENTRE, mean_y + CENTRE
    luminance = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return (luminance * structure).double().mean(dim=(1, 2, 3))


def _gaussian(maps: Tensor) -> Tensor:
    """Blur (N, C, H, W) where the window fits: (N, C, H - 10, W - 10); separable, so 22 products a pixel, not 121."""
    count, channels = maps.shape[:2]
    planes = maps.flatten(0, 1).unsqueeze(0)  # (1, N * C, H, W): one group a plane is the fast path on CPUs
    kernel = _window().to(maps).expand(count * channels, 1, WINDOW)
    planes = F.conv2d(planes, kernel.unsqueeze(3), groups=count * channels)
    planes = F.conv2d(planes, kernel.unsqueeze(2), groups=count * channels)
    return planes.reshape(count, channels, *planes.shape[-2:])


def _window() -> Tensor:
    """Return the 11 weights of the Gaussian, of sum 1, float64."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def _channel_mixing(channels: int) -> Tensor:
    """Return the (C, C) matrix that blurs along the channels with the first and last one repeated, float32."""
    matrix = torch.zeros(channels, channels, dtype=torch.float64)
    for offset, weight in enumerate(_window(), start=-(WINDOW // 2)):
        for channel in range(channels):
            matrix[channel, min(max(channel + offset, 0), channels - 1)] += weight
    return matrix.float()
