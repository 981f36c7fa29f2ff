"""Peak signal-to-noise ratio of each image of a batch."""

from torch import Tensor

FLOOR = 1e-10  # mean squared error below which images count as identical: 100 dB, so that means stay finite


def psnr(restored: Tensor, truth: Tensor) -> Tensor:
    """Return 10 log10(1 / MSE) in dB of each image, over all its pixels and channels.

    Args:
        restored: (B, C, H, W) in [0, 1]; values outside are clipped, as in a saved image.
        truth: (B, C, H, W) in [0, 1].

    Returns:
        (B,) float64 in dB, at most 100 (identical images).
    """
    difference = restored.clamp(0, 1).double() - truth.double()
    mse = difference.square().mean(dim=(1, 2, 3))
    return -10 * mse.clamp(min=FLOOR).log10()


def round_to_uint8(image: Tensor) -> Tensor:
    """Clip to [0, 1] and round to the 256 values of an 8-bit file; the result is still in [0, 1]."""
    return (image.clamp(0, 1) * 255).round() / 255
