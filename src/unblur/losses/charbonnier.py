"""Charbonnier loss: an L1 that is smooth around zero (Charbonnier et al. 1994; Lai et al. 2017 for restoration)."""

import torch
from torch import Tensor, nn


class CharbonnierLoss(nn.Module):
    """The mean of sqrt(d^2 + epsilon^2) over the difference d of restored and truth, (B, C, H, W) in [0, 1].

    Args:
        epsilon: where it turns from an L2 into an L1.
        joint: d^2 is the mean over the channels of a pixel: one distance of colours (ESTRNN, Zhong et al. 2020).
    """

    def __init__(self, epsilon: float = 1e-3, *, joint: bool = False) -> None:
        super().__init__()
        self.epsilon, self.joint = epsilon, joint

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return a scalar of the scale of the mean absolute error, never below epsilon."""
        square = (restored.float() - truth.float()).square()
        if self.joint:
            square = square.mean(dim=1)  # (B, C, H, W) -> (B, H, W)
        return torch.sqrt(square + self.epsilon**2).mean()
