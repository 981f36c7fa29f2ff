"""What is explained: how much of a model's correction of a region remains when its input is changed."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.explaining.region import Region
from unblur.networks.multi_axis import Mixing

BLUR_SIGMA = 8.0  # pixels: beyond the blur of most photographs, so that nothing is left to sharpen
FEW = 2  # of those that have a thread of their own; of one alone PyTorch computes convolutions in a slower way

_switched = Lock()  # how many threads PyTorch has holds for the process

G = TypeVar("G")
M = TypeVar("M")


@dataclass(frozen=True)
class Subject:
    """A model, a window of its input and a region of its output.

    `restore` takes (B, K, 3, h, w) and returns (B, 3, h, w), the frame `reference` restored; K is 1 for photographs.
    `network` is the same as a differentiable module, None where the model has no gradients. `window` is the input
    (K, 3, h, w), `missing` the same picture strongly blurred: what stands in for pixels that are taken away.
    `direction` (3, size, size) makes of a correction of the region a number, which is 1 for the correction that the
    model makes of the whole window; `whole` is that score, 0 where nothing is corrected.
    """

    restore: Callable[[Tensor], Tensor]
    network: nn.Module | None
    window: Tensor
    missing: Tensor
    region: Region
    direction: Tensor
    whole: float
    reference: int = 0

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of the window in pixels."""
        return int(self.window.shape[-2]), int(self.window.shape[-1])

    def score(self, inputs: Tensor) -> Tensor:
        """Return (B,): the share of the correction that the model still makes of windows (B, K, 3, h, w)."""
        return self.project(inputs, self.restore(inputs))

    def project(self, inputs: Tensor, restored: Tensor) -> Tensor:
        """Return (B,): the share of the correction in `restored` (B, 3, h, w) of `inputs`."""
        correction = (restored - inputs[:, self.reference])[..., self.region.rows, self.region.columns]
        return (correction * self.direction).sum(dim=(1, 2, 3))

    def scored(self, inputs: Tensor) -> Tensor:
        """Return `score` of any number of windows, a few at once and without gradients."""
        return torch.cat(at_once(torch.no_grad()(self.score), torch.split(inputs, FEW)))

    def scores(self, inputs: Tensor) -> NDArray[np.float64]:
        """Return `scored` as an array."""
        return self.scored(inputs).double().numpy()

    def without(self, masks: NDArray[np.float32]) -> Tensor:
        """Return windows (B, K, 3, h, w) in which the pixels of masks (B, h, w) or (B, K, h, w) are taken away."""
        gone = torch.from_numpy(np.ascontiguousarray(masks, dtype=np.float32))
        gone = (gone[:, None] if gone.ndim == 3 else gone)[:, :, None]
        return self.window * (1 - gone) + self.missing * gone

    def of(self, network: nn.Module) -> "Subject":
        """Return the same question to another network."""
        return subject_of(
            restorer_of(network, self.window.shape[0], self.reference),
            network,
            self.window,
            self.region,
            self.reference,
        )

    def seen(self, window: Tensor) -> "Subject":
        """Return the same question about another window of that size."""
        return subject_of(self.restore, self.network, window, self.region, self.reference)


def subject_of(
    restore: Callable[[Tensor], Tensor],
    network: nn.Module | None,
    window: Tensor,
    region: Region,
    reference: int = 0,
) -> Subject:
    """Return the subject of a window (K, 3, h, w) and a region in it."""
    restored = at_once(torch.no_grad()(restore), [window[None]])[0][0]
    correction = (restored - window[reference])[..., region.rows, region.columns]
    direction = correction / correction.square().sum().clamp_min(1e-12)
    whole = float((correction * direction).sum())
    return Subject(restore, network, window, blurred(window, BLUR_SIGMA), region, direction, whole, reference)


def restorer_of(network: nn.Module, frames: int, reference: int) -> Callable[[Tensor], Tensor]:
    """Return a network of any task as a function (B, K, 3, h, w) -> (B, 3, h, w)."""
    task = getattr(network, "task", "image")

    def restore(inputs: Tensor) -> Tensor:
        restored: Tensor = network(inputs[:, 0] if task == "image" else inputs)
        return restored[:, reference] if task == "video" else restored

    return restore


class Pointwise(nn.Conv2d):
    """A 1x1 convolution by oneDNN. On one thread PyTorch takes MKL, which is half as quick on AMD's processors."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W)."""
        return torch.mkldnn_convolution(x, self.weight, self.bias, (0, 0), (1, 1), (1, 1), 1)


class PointwiseMixing(Mixing):
    """The same product by oneDNN, as a 1x1 convolution whose channels are the positions."""

    def mixed(self, x: Tensor) -> Tensor:
        """Multiply (side^2, N), a row for each position, by the weight."""
        weight = self.weight[:, :, None, None]
        product: Tensor = torch.mkldnn_convolution(x[None, :, :, None], weight, self.bias, (0, 0), (1, 1), (1, 1), 1)
        return product[0, :, :, 0]


def quick_alone(network: nn.Module) -> nn.Module:
    """Return the network, whose 1x1 convolutions and `Mixing` are as quick on one thread as on several from now on."""
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        for module in network.modules():
            plain = type(module) is nn.Conv2d and module.groups == 1 and module.padding == (0, 0)
            if plain and module.kernel_size == module.stride == (1, 1):
                module.__class__ = Pointwise
            if type(module) is Mixing:
                module.__class__ = PointwiseMixing
    return network


def at_once(make: Callable[[G], M], given: Iterable[G]) -> list[M]:
    """Return `make` of each, as many at a time as PyTorch has threads, each on a thread of its own.

    Threads that share a layer out wait for each other at its end: on cores that other work uses that takes ten times
    as long, on quiet ones no less. And what is computed on one thread is the same on any number of cores. `make`
    switches gradients off where it needs none, as in `torch.no_grad()(make)`: that holds for a thread alone.
    """
    with _switched:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # which those of the pool begin with
        try:
            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(make, given))
        finally:
            torch.set_num_threads(threads)


def blurred(window: Tensor, sigma: float) -> Tensor:
    """Return (..., 3, h, w) blurred by a Gaussian of `sigma` pixels; the border is mirrored."""
    if sigma <= 0:
        return window
    planes = window.reshape(-1, *window.shape[-2:]).numpy()
    made = [cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for plane in planes]
    return torch.from_numpy(np.stack(made)).reshape(window.shape)
