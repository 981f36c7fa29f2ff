"""Maps that need no gradients: a square that slides over the input, and LIME over superpixels; both by captum.

LIME is Ribeiro et al. 2016 (KDD), superpixels are SLIC (Achanta et al. 2012, TPAMI).
"""

from dataclasses import dataclass

import numpy as np
import torch
from captum._utils.models.model import Model
from captum.attr import Lime, Occlusion
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from unblur.explaining.blocks import Map
from unblur.explaining.subject import Subject

BATCH = 8  # windows that captum asks about at once


def occlusion(subject: Subject, across: int = 8) -> Map:
    """Return what the score loses by a square of 2/`across` of the window that slides by half of itself."""
    height, width = subject.side
    frames = subject.window.shape[0]
    step = height // across, width // across
    found = Occlusion(subject.scored).attribute(
        subject.window[None],
        sliding_window_shapes=(frames, 3, 2 * step[0], 2 * step[1]),
        strides=(frames, 3, *step),
        baselines=subject.missing[None],
        perturbations_per_eval=BATCH,
    )
    area = frames * 4 * step[0] * step[1]  # captum gives each pixel the mean effect of the squares over it
    effects: Map = found[0].mean(dim=1).double().numpy() / area
    return effects


@dataclass(frozen=True)
class LimeMap:
    """A map by LIME: signed and of the window's size; `r2` is what its linear model explains of the samples."""

    map: Map
    r2: float
    superpixels: int


def lime(subject: Subject, superpixels: int = 24, samples: int = 72, seed: int = 0) -> LimeMap:
    """Return what each superpixel adds by a weighted linear model of the score, each one taken away or not at random.

    Args:
        subject: what is explained; of several frames the superpixels are those of the reference, in all frames.
        superpixels: about how many.
        samples: windows with superpixels taken away.
        seed: of which are.
    """
    labels = segments(subject.window[subject.reference], superpixels)
    count = int(labels.max()) + 1
    model = WeightedLinear()
    method = Lime(subject.scored, interpretable_model=model)
    mask = torch.from_numpy(labels).expand(1, *subject.window.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        effects = method.attribute(
            subject.window[None],
            baselines=subject.missing[None],
            feature_mask=mask,
            n_samples=samples,
            perturbations_per_eval=BATCH,
            return_input_shape=False,
        )
    sizes = np.bincount(labels.ravel(), minlength=count)
    density = effects.flatten().double().numpy() / sizes
    frames = subject.window.shape[0]
    return LimeMap(np.repeat(density[labels][None], frames, axis=0) / frames, model.r2, count)


def segments(picture: Tensor, count: int) -> NDArray[np.int64]:
    """Return the superpixel (h, w), from 0 on, of each pixel of a picture (3, h, w)."""
    from skimage.segmentation import slic  # takes a third of a second to import

    pixels = picture.permute(1, 2, 0).numpy()
    found = slic(pixels, n_segments=count, compactness=10.0, sigma=1.0, start_label=0, channel_axis=2)
    return np.asarray(np.unique(found, return_inverse=True)[1].reshape(found.shape), dtype=np.int64)


class WeightedLinear(Model):  # type: ignore[misc]
    """A linear model with weighted samples and a little ridge; `r2` is its weighted coefficient of determination."""

    def __init__(self, ridge: float = 1e-3) -> None:
        self.ridge, self.r2 = ridge, 0.0
        self.weights = torch.zeros(0)

    def fit(self, train_data: DataLoader, **_: object) -> None:  # type: ignore[type-arg]
        """Fit (features, score, weight) of all samples in closed form."""
        batches = [tuple(part.double() for part in batch) for batch in train_data]
        features, target, weight = (torch.cat(parts) for parts in zip(*batches, strict=True))
        weight = weight.flatten() / weight.sum()
        target = target.flatten()
        around = features - weight @ features
        away = target - weight @ target
        gram = around.T @ (weight[:, None] * around)
        penalty = self.ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        self.weights = torch.linalg.solve(gram + penalty, around.T @ (weight * away))
        left = away - around @ self.weights
        self.r2 = float(1 - (weight * left.square()).sum() / (weight * away.square()).sum().clamp_min(1e-12))

    def representation(self) -> Tensor:
        """Return the weight of each feature."""
        return self.weights.float()[None]

    def __call__(self, x: Tensor) -> Tensor:
        """Predict the score, but for a constant."""
        return x.double() @ self.weights
