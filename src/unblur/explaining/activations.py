"""What the blocks of a network hold: energy, first principal component, and channels that are tuned to blur."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.blur.psf import PSF, splat
from unblur.explaining.ranks import rank_correlations
from unblur.explaining.subject import Subject

LENGTHS = (1.0, 3.0, 5.0, 8.0, 12.0)  # pixels of the probe's straight motion; 1 is no blur
ANGLES = (0.0, 45.0, 90.0, 135.0)  # degrees


@dataclass(frozen=True)
class Features:
    """What a block holds of a window: root mean square over its channels, and their first principal component.

    Both (h, w) of the block's own level; `explained` is the component's share of the variance.
    """

    block: str
    channels: int
    energy: NDArray[np.float32]
    component: NDArray[np.float32]
    explained: float


@dataclass(frozen=True)
class Tuning:
    """How a channel answers to the probe's blurs.

    `strength` is the rank correlation of its answer with the extent of the blur, -1 to 1; `direction` the degrees that
    it prefers and `selectivity` how much, 0 to 1; `curve` its mean answer at each length, 1 without blur.
    """

    block: str
    channel: int
    strength: float
    direction: float
    selectivity: float
    curve: tuple[float, ...]


def blocks_of(network: nn.Module) -> dict[str, nn.Module]:
    """Return the outermost blocks by name: modules of unblur whose class is called a block, in order."""
    found: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name and not inside and type(module).__name__.endswith(("Block", "DenseDown")):
            found[name] = module
    return found


def features(subject: Subject, most: int = 12) -> list[Features]:
    """Return what at most so many blocks hold of the window, spread evenly over the network."""
    if subject.network is None:
        return []
    blocks = blocks_of(subject.network)
    names = list(blocks)
    kept = [names[i] for i in sorted({round(i) for i in np.linspace(0, len(names) - 1, min(most, len(names)))})]
    with torch.no_grad(), last_outputs({name: blocks[name] for name in kept}) as held:
        subject.restore(subject.window[None])
    return [_described(name, _first(held[name])) for name in kept if name in held and held[name].ndim == 4]


def border_ratio(energy: NDArray[np.float32], rim: int = 2) -> float:
    """Return how many times as much energy (h, w) there is in the outer `rim` pixels as further in."""
    rim = min(rim, (min(energy.shape) - 1) // 2)
    if rim == 0:  # too small to have an inside
        return 1.0
    inner = energy[rim:-rim, rim:-rim]
    outside = (float(energy.sum()) - float(inner.sum())) / (energy.size - inner.size)
    return outside / max(float(inner.mean()), 1e-12)


def tuning(subject: Subject, most: int = 6) -> list[Tuning]:
    """Return the channels of the blocks that answer most to strength, and to direction, of blur.

    The probe is the window's picture, blurred further by straight motions of `LENGTHS` in `ANGLES`.
    """
    if subject.network is None:
        return []
    blocks = blocks_of(subject.network)
    energies: dict[str, list[NDArray[np.float64]]] = {name: [] for name in blocks}
    for length in LENGTHS:
        for angle in ANGLES:
            probe = _moved(subject.window, straight(length, angle))
            with torch.no_grad(), last_outputs(blocks) as held:
                subject.restore(probe[None])
            for name, kept in held.items():
                if kept.ndim == 4:
                    energies[name].append(_first(kept).square().mean(dim=(1, 2)).sqrt().double().numpy())
    found = [
        tuned
        for name, rows in energies.items()
        if rows
        for tuned in _tuned(name, np.stack(rows).reshape(len(LENGTHS), len(ANGLES), -1))
    ]
    by_strength = sorted(found, key=lambda each: -abs(each.strength))[:most]
    by_direction = sorted((each for each in found if each not in by_strength), key=lambda each: -each.selectivity)
    return by_strength + by_direction[:most]


def straight(length: float, angle: float) -> PSF:
    """Return the point-spread function of a straight motion of `length` pixels, `angle` degrees from the x axis."""
    places = np.linspace(-0.5, 0.5, 4 * math.ceil(length)) * max(length - 1, 0)
    return splat(places * np.exp(1j * np.deg2rad(angle)))


def _tuned(block: str, answers: NDArray[np.float64]) -> Iterator[Tuning]:
    """Yield the tuning of each channel of answers (lengths, angles, C)."""
    own = answers / np.maximum(answers[0].mean(axis=0), 1e-12)
    strengths = rank_correlations(np.repeat(LENGTHS, len(ANGLES)), own.reshape(-1, own.shape[2]))
    by_angle = own[2:].mean(axis=0)
    vectors = (by_angle * np.exp(2j * np.deg2rad(ANGLES))[:, None]).sum(axis=0)
    vectors /= np.maximum(by_angle.sum(axis=0), 1e-12)
    preferred = np.rad2deg(np.angle(vectors)) / 2 % 180
    for channel in np.flatnonzero(answers.max(axis=(0, 1)) >= 1e-6):
        curve = tuple(map(float, own[:, :, channel].mean(axis=1)))
        figures = float(strengths[channel]), float(preferred[channel]), float(abs(vectors[channel]))
        yield Tuning(block, int(channel), *figures, curve)


def _moved(window: Tensor, psf: PSF) -> Tensor:
    planes = window.reshape(-1, *window.shape[-2:]).numpy()
    made = [cv2.filter2D(plane, -1, psf, borderType=cv2.BORDER_REFLECT) for plane in planes]
    return torch.from_numpy(np.stack(made)).reshape(window.shape)


def _described(name: str, kept: Tensor) -> Features:
    channels, height, width = kept.shape
    flat = kept.reshape(channels, -1).double().numpy()
    centred = flat - flat.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    component = (vectors[:, -1] @ centred).reshape(height, width)
    energy = np.sqrt((flat**2).mean(axis=0)).reshape(height, width)
    explained = float(values[-1] / max(float(values.sum()), 1e-12))
    return Features(name, channels, energy.astype(np.float32), component.astype(np.float32), explained)


def _first(kept: Tensor) -> Tensor:
    """Return the features (C, h, w) of the first picture."""
    return kept[0] if kept.ndim == 4 else kept.flatten(0, -4)[0]


@contextmanager
def last_outputs(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Give the last output of each module that is one tensor, by its name in `modules`."""
    held: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, Tensor):
                held[name] = output.detach()

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]  # type: ignore[arg-type]
    try:
        yield held
    finally:
        for handle in handles:
            handle.remove()
