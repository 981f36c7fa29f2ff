"""Charbonnier loss: an L1 that is smooth around zero (Charbonnier et al. 1994; Lai et al. 2017 for restoration)."""

import torch
from torch import Tensor, nn


class CharbonnierLoss(nn.Module):
    """The mean of sqrt(d^2 + epsilon^2) over the difference d of restored and truth, (B, C, H, W) in [0, 1]."""

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return a scalar of the scale of the mean absolute error, never below epsilon."""
        difference = restored.float() - truth.float()
        return torch.sqrt(difference.square() + self.epsilon**2).mean()
