"""A loss at several scales of the image (Nah et al. 2017, CVPR): coarse blur counts at coarse scales too."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError


class MultiScaleLoss(nn.Module):
    """The mean of `loss` over `scales` sizes of (B, C, H, W), each half of the one before, halved by area.

    Raises:
        UnblurError: there is no scale.
    """

    def __init__(self, loss: nn.Module, scales: int = 3) -> None:
        super().__init__()
        if scales < 1:
            msg = f"the multi-scale loss has {scales} scales: expected at least 1"
            raise UnblurError(msg)
        self.loss = loss
        self.scales = scales

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return a scalar; scales at which the image would have no pixel are left out."""
        terms = []
        for _ in range(self.scales):
            terms.append(self.loss(restored, truth))
            if min(restored.shape[-2:]) < 2:
                break
            restored, truth = (F.avg_pool2d(image.float(), 2) for image in (restored, truth))
        return torch.stack(terms).mean()
