"""Rewrites a trained network for inference: the same function of the image, in fewer passes over its features.

On CPUs and phones the field's networks wait for memory, not for arithmetic: layer norms, gates, residual scales and the
transpositions between them read and write every feature of the image. Whatever is linear goes into the convolution next
to it, gates split a convolution in two instead of its output, and the norm itself is written as 1x1 convolutions, so
that everything stays in the one memory layout that convolutions like. A block says how, by its method `folded`.

The folded network is for export: it has other parameters, so it is neither trained nor saved.
"""

import copy
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Foldable(Protocol):
    """A module that knows a faster one which computes the same."""

    def folded(self) -> nn.Module:
        """Return the faster module; `self` may be taken apart for it."""
        ...


def fold(network: nn.Module) -> nn.Module:
    """Return a copy of `network` in eval mode in which every foldable module is folded, outermost first."""
    with torch.no_grad():
        return _folded(copy.deepcopy(network).eval())


def _folded(module: nn.Module) -> nn.Module:
    if isinstance(module, Foldable):
        return module.folded().eval()
    for name, child in module.named_children():
        setattr(module, name, _folded(child))
    return module


class Standardise(nn.Module):
    """A layer norm without its weight and bias, as two 1x1 convolutions: (B, C, H, W) -> the same.

    The first takes the mean over the channels away, the second gives the mean square of what is left.

    Args:
        channels: of the features.
        eps: added to the variance.
        centred: False divides by the standard deviation alone.
    """

    def __init__(self, channels: int, eps: float, centred: bool = True) -> None:
        super().__init__()
        self.eps, self.centred = eps, centred
        self.centre = nn.Conv2d(channels, channels, 1, bias=False)
        self.mean = nn.Conv2d(channels, 1, 1, bias=False)
        self.centre.weight.copy_((torch.eye(channels) - 1 / channels)[:, :, None, None])
        self.mean.weight.fill_(1 / channels)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise each pixel over its channels."""
        deviation = self.centre(x)
        scale = torch.rsqrt(self.mean(deviation * deviation) + self.eps)
        out: Tensor = (deviation if self.centred else x) * scale
        return out


def convolution(weight: Tensor, bias: Tensor | None, groups: int = 1) -> nn.Conv2d:
    """Return a convolution of this weight (O, I / groups, k, k) and bias (O,) that keeps height and width."""
    out, each, size = weight.shape[:3]
    made = nn.Conv2d(groups * each, out, size, padding=size // 2, groups=groups, bias=bias is not None)
    made.weight.copy_(weight)
    if bias is not None and made.bias is not None:
        made.bias.copy_(bias)
    return made


def parts(conv: nn.Conv2d, count: int) -> list[nn.Conv2d]:
    """Return convolutions that each give one of `count` equal shares of the outputs of `conv`, in their order."""
    depthwise = conv.groups > 1
    weights = conv.weight.chunk(count)
    biases = conv.bias.chunk(count) if conv.bias is not None else [None] * count
    return [convolution(w, b, len(w) if depthwise else 1) for w, b in zip(weights, biases, strict=True)]


def after_affine(conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Return the 1x1 convolution of `weight * x + bias`, both (C,), as one of x."""
    offset = conv.bias if conv.bias is not None else torch.zeros(len(conv.weight))
    if bias is not None:
        offset = offset + conv.weight[:, :, 0, 0] @ bias
    plain = bias is None and conv.bias is None
    return convolution(conv.weight * weight[None, :, None, None], None if plain else offset)


def scaled(conv: nn.Conv2d, factor: Tensor) -> nn.Conv2d:
    """Return the convolution whose outputs are `factor` (O,) times those of `conv`."""
    factor = factor.flatten()
    bias = None if conv.bias is None else conv.bias * factor
    return convolution(conv.weight * factor[:, None, None, None], bias)
