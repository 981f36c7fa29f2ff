"""Edge loss: Charbonnier on the Laplacian of images (MPRNet, Zamir et al. 2021, CVPR)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.losses.charbonnier import CharbonnierLoss


class EdgeLoss(nn.Module):
    """Charbonnier between the finest levels of two Laplacian pyramids (Burt and Adelson 1983), (B, C, H, W) in [0, 1].

    A level is an image minus itself blurred by [1, 5, 8, 5, 1] / 20, halved and brought back: what halving loses.
    """

    kernel: Tensor

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        line = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05])
        self.register_buffer("kernel", torch.outer(line, line), persistent=False)
        self.charbonnier = CharbonnierLoss(epsilon)

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return a scalar."""
        loss: Tensor = self.charbonnier(self.laplacian(restored.float()), self.laplacian(truth.float()))
        return loss

    def laplacian(self, image: Tensor) -> Tensor:
        """Return (B, C, H, W): what is lost by halving."""
        coarse = torch.zeros_like(image)
        coarse[..., ::2, ::2] = 4 * self._blurred(image)[..., ::2, ::2]
        return image - self._blurred(coarse)

    def _blurred(self, image: Tensor) -> Tensor:
        channels = image.shape[1]
        # Mirrored, as then the zeros between the pixels of a halved image go on beyond its border.
        mode = "reflect" if min(image.shape[-2:]) > 2 else "replicate"
        padded = F.pad(image, (2, 2, 2, 2), mode=mode)
        blurred: Tensor = F.conv2d(padded, self.kernel.expand(channels, 1, 5, 5), groups=channels)
        return blurred
