"""What the attention of a network looks at: weights of channels (NAFNet, Restormer), pixels of a window (Uformer)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.explaining.activations import last_outputs
from unblur.explaining.subject import Subject

MOST = 4  # maps of a kind


@dataclass(frozen=True)
class Attention:
    """A map of attention: `kind` is channels or pixels, `values` what is shown, `spread` how unequal it is.

    Of simplified channel attention the factor of each channel (1, C); of attention between channels the matrix (C, C)
    of the first head; of a window how much the pixel in the middle of the region looks at each pixel (w, w), the mean
    over the heads. `spread` is the entropy's share of the largest there can be: 1 looks at all alike; of factors, it is
    their standard deviation by their mean absolute value.
    """

    layer: str
    kind: str
    values: NDArray[np.float32]
    spread: float


def attention_maps(subject: Subject) -> list[Attention]:
    """Return a few maps of attention, spread evenly over the network; none where it has no attention."""
    if subject.network is None:
        return []
    found = list(_maps(subject, subject.network))
    kept = sorted({round(i) for i in np.linspace(0, len(found) - 1, min(MOST, len(found)))}) if found else []
    return [found[i] for i in kept]


def _maps(subject: Subject, network: nn.Module) -> Iterator[Attention]:
    gates = {name: module for name, module in network.named_modules() if name.endswith(".sca")}
    between = {name: module for name, module in network.named_modules() if hasattr(module, "qkv_dwconv")}
    windows = {name: module for name, module in network.named_modules() if hasattr(module, "strangers")}
    watched = {
        **gates,
        **{name: module.qkv_dwconv for name, module in between.items()},
        **{name: module.qkv for name, module in windows.items()},
    }
    with torch.no_grad(), last_outputs(watched) as held:
        subject.restore(subject.window[None])
    for name, output in held.items():
        if name in gates:
            factors = output[0].flatten(1).mean(dim=1)
            spread = float(factors.std() / factors.abs().mean().clamp_min(1e-12))
            yield Attention(name, "channels", factors[None].numpy(), spread)
        elif name in between:
            yield _between(name, between[name], output)
        else:
            yield _window(name, windows[name], output, subject, int(getattr(network, "multiple", 1)))


def _between(name: str, module: Any, output: Tensor) -> Attention:  # noqa: ANN401
    """Return the attention of the first head of Restormer's MDTA, of its queries, keys and values (1, 3hd, H, W)."""
    heads = len(module.temperature)
    qkv = output.reshape(1, 3, heads, -1, output.shape[-2] * output.shape[-1])
    q, k = (F.normalize(part, dim=-1) for part in (qkv[:, 0], qkv[:, 1]))
    weights = ((q @ k.transpose(-2, -1)) * module.temperature).softmax(dim=-1)[0, 0]
    return Attention(name, "channels", weights.numpy(), _entropy(weights))


def _window(name: str, module: Any, output: Tensor, subject: Subject, multiple: int) -> Attention:  # noqa: ANN401
    """Return what the pixel in the middle of the region looks at in its window, of (1, windows, N, 3C).

    The network pads its input to a `multiple` of pixels.
    """
    side, heads = int(module.window), int(module.heads)
    across = round(output.shape[1] ** 0.5)  # windows in a row: the subject's window is square
    whole = across * side
    level = -(-subject.side[1] // multiple) * multiple / whole  # pixels of the picture in one of this level
    middle = [int((edge + subject.region.size / 2) / level) for edge in (subject.region.top, subject.region.left)]
    moved = [(place - int(module.shift)) % whole for place in middle]
    number = moved[0] // side * across + moved[1] // side
    pixel = moved[0] % side * side + moved[1] % side
    qkv = output[0, number].reshape(side * side, 3, heads, -1).permute(1, 2, 0, 3)  # (3, h, N, d)
    scores = (qkv[0] * module.scale) @ qkv[1].transpose(-2, -1) + module.bias[:, module.place]
    if module.shift:
        scores = scores.masked_fill(module.strangers(whole, whole, scores.device)[number], -100.0)
    weights = scores.softmax(dim=-1)[:, pixel].mean(dim=0)
    return Attention(name, "pixels", weights.reshape(side, side).numpy(), _entropy(weights[None]))


def _entropy(weights: Tensor) -> float:
    """Return the mean entropy of rows of weights, as a share of the largest there can be."""
    entropy = -(weights * weights.clamp_min(1e-12).log()).sum(dim=-1).mean()
    return float(entropy / np.log(weights.shape[-1]))
