"""Frequency loss: L1 between the spectra of two images (MIMO-UNet, Cho et al. 2021)."""

import torch
from torch import Tensor, nn


class FrequencyLoss(nn.Module):
    """The mean absolute real and imaginary part of the difference's real FFT, for (B, C, H, W) in [0, 1].

    The transform is orthonormal, so that the value does not grow with the crop: a white difference of standard
    deviation s gives 0.56 s (0.80 s for the mean absolute error), a smooth one less, because its energy is in few
    frequencies. The paper's transform is not normalised: its weight of 0.1 on 256x256 crops is 25.6 here.
    FFT does not export; it belongs in a loss, never in a network.
    """

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return a scalar."""
        spectrum = torch.fft.rfft2(restored.float() - truth.float(), norm="ortho")  # (B, C, H, W // 2 + 1), complex
        return torch.view_as_real(spectrum).abs().mean()
