"""PSNR as a loss (NAFNet, Chen et al. 2022): minimising it maximises the mean of the images' PSNRs."""

import math

from torch import Tensor, nn

FLOOR = 1e-8  # keeps the gradient finite where an image is perfect: 80 dB


class PSNRLoss(nn.Module):
    """The mean over images of 10 / ln(10) * ln(MSE + 1e-8), for (B, C, H, W) in [0, 1]: minus the PSNR in dB."""

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return a scalar in dB, negative; -80 for identical images."""
        mse = (restored.float() - truth.float()).square().mean(dim=(1, 2, 3))  # (B,)
        return 10 / math.log(10) * (mse + FLOOR).log().mean()
