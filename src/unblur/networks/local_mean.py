"""Local statistics at test time (TLC, Chu et al. 2022, ECCV): means over a window instead of the whole image.

A network with global pools that was trained on patches meets other statistics in whole images. Its pools become means
over the neighbourhood of each pixel, without any training.
"""

import torch
from torch import Tensor, nn


class LocalMean(nn.Module):
    """The mean over a window of `window` x `window` pixels around each pixel: (B, C, H, W) -> the same.

    At the border the window stays inside the image, so it is not centred there; where the image is smaller than the
    window, it is the mean of all rows or columns. As by running sums: the cost does not depend on the window.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """Average; the running sums are float32 whatever the input is."""
        rows = self._along(x.float(), 2)
        return self._along(rows, 3).to(x.dtype)

    def _along(self, x: Tensor, dim: int) -> Tensor:
        size = x.shape[dim]
        place = torch.arange(size, device=x.device)
        last = (place.max() + 1 - self.window).clamp(min=0)  # where the last whole window starts
        start = torch.minimum((place - (self.window - 1) // 2).clamp(min=0), last)
        end = (start + self.window).clamp(max=size)
        zero = torch.zeros_like(x.narrow(dim, 0, 1))
        sums = torch.cat([zero, x.cumsum(dim)], dim)  # sums[i]: of the first i
        shape = [1, 1, -1, 1] if dim == 2 else [1, 1, 1, -1]
        return (sums.index_select(dim, end) - sums.index_select(dim, start)) / (end - start).view(shape)
