"""Gradient loss: L1 between the differences of neighbouring pixels (Mathieu et al. 2016, ICLR)."""

from torch import Tensor, nn


class GradientLoss(nn.Module):
    """The mean absolute error of horizontal and vertical differences, for (B, C, H, W) in [0, 1]."""

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return a scalar; a constant offset costs nothing."""
        error = restored.float() - truth.float()
        vertical = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        horizontal = (error[..., 1:] - error[..., :-1]).abs().mean()
        return (vertical + horizontal) / 2
