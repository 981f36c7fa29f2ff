"""Small layers that several image networks share: normalisation, gating, padding to a multiple, cropping."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of each pixel (Ba et al. 2016), affine.

    The native kernel works on the last axis: on a channels-last tensor the permutation is free, and this is about
    1.3 times faster on CPUs than mean and variance written out.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over C."""
        x = x.permute(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
        x = F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class SimpleGate(nn.Module):
    """The product of the two halves of the channels (NAFNet, Chen et al. 2022): (B, 2C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the first half of the channels by the second."""
        first, second = x.chunk(2, dim=1)
        return first * second


class SubpixelUp(nn.Sequential):
    """Doubles height and width: a convolution to four times the channels, which become 2x2 pixels (Shi et al. 2016).

    Args:
        channels: of the input.
        out: channels of the output.
        kernel: side of the convolution.
    """

    def __init__(self, channels: int, out: int, kernel: int = 1) -> None:
        conv = nn.Conv2d(channels, 4 * out, kernel, padding=kernel // 2, bias=False)
        super().__init__(conv, nn.PixelShuffle(2))


def pad_to_multiple(x: Tensor, multiple: int, mode: str = "constant") -> Tensor:
    """Append zeros at the right and the bottom of (B, C, H, W) until H and W are multiples of `multiple`.

    With the mode "replicate" the last pixels are repeated instead.

    The padded size is written as `multiple * ceil(H / multiple)`: from this form torch.export can prove that halving
    and doubling give the size back, where `H + (-H mod multiple)` leaves guards that fail at sizes it has not seen.
    """
    height, width = x.shape[-2:]
    bottom = multiple * ((height + multiple - 1) // multiple) - height
    right = multiple * ((width + multiple - 1) // multiple) - width
    return F.pad(x, (0, right, 0, bottom), mode)


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """Keep the top left `height` x `width` of (B, C, H, W): what `pad_to_multiple` appended goes away.

    Under torch.export the pixels are gathered instead of sliced: a slice is a view, and whether that view is
    contiguous would be settled for good by the example's size (is it a multiple or not?).
    """
    if torch.compiler.is_exporting() and not torch.onnx.is_in_onnx_export():
        return x[:, :, torch.arange(height, device=x.device)[:, None], torch.arange(width, device=x.device)]
    return x[..., :height, :width]
