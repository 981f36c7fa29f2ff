"""Whether a map is true: each is held to what happens when parts of the input are taken away.

Deletion and insertion are Petsiuk et al. 2018 (BMVC), against random orders; the check of randomised weights is Adebayo
et al. 2018 (NeurIPS): a map that stays as it was says nothing about the model.
"""

import copy
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import nn

from unblur.explaining.blocks import Map, grid
from unblur.explaining.intervention import exhaustive
from unblur.explaining.methods import METHODS, Reference
from unblur.explaining.ranks import rank_correlation
from unblur.explaining.subject import Subject
from unblur.records.explanation import Fidelity

CELLS = 24  # along a side: the order of deletion is that of cells, as single pixels would leave a pattern
SHARES = (0.01, 0.04, 0.15, 0.5)  # of the window that is taken away or put in
ORDERS = 5  # random ones
NOISE = 1 / 255  # standard deviation: what rounding and compression add
ACTIVE = 0.9  # of a map's absolute value lies in its active area
# Bounds of the verdict.
LEAST_RANK, LEAST_STABILITY, MOST_UNCHANGED, MOST_INCOMPLETE = 0.5, 0.5, 0.5, 0.1


@dataclass(frozen=True)
class Trial:
    """What the maps of one subject are held to.

    `reference` is the exhaustive intervention; `cells` (N, h, w) are what deletion takes away, `deleted` and `inserted`
    (orders, shares) the scores of random orders; `shuffled` is the same question to the network with shuffled weights,
    None for a model without gradients. Whether the intervention changes with the weights is asked of the blocks at
    `places`; whether it is stable, of `fewer`.
    """

    subject: Subject
    reference: Reference
    cells: NDArray[np.float32]
    deleted: NDArray[np.float64]
    inserted: NDArray[np.float64]
    shuffled: Subject | None
    seed: int

    @property
    def places(self) -> NDArray[np.int64]:
        """Places of half of the blocks, as on a chessboard."""
        rows, columns = np.divmod(np.arange(len(self.reference.effects)), self.reference.across)
        return np.flatnonzero((rows + columns) % 2 == 0)

    @property
    def fewer(self) -> NDArray[np.int64]:
        """Places of one of each four blocks that lie in a square, so that no region is left out."""
        places = self.places
        rows = places // self.reference.across
        return np.asarray(places[rows % 2 == 0], np.int64)


def trial_of(subject: Subject, reference: Reference, seed: int = 0) -> Trial:
    """Return what is needed to measure the maps of a subject; `seed` is that of orders, noise and shuffling."""
    cells = grid(*subject.side, CELLS).masks
    rng = np.random.default_rng(seed)
    other = None if subject.network is None else subject.of(shuffled(subject.network, seed))
    nothing = np.zeros((0, 0))
    trial = Trial(subject, reference, cells, nothing, nothing, other, seed)
    curves = [_curves(trial, rng.permutation(len(cells))) for _ in range(ORDERS)]
    deleted, inserted = (np.stack([curve[i] for curve in curves]) for i in range(2))
    return replace(trial, deleted=deleted, inserted=inserted)


def measure(trial: Trial, name: str, found: Map) -> Fidelity:
    """Return all tests of the map (K, h, w) of a method, and what it failed."""
    method, subject, reference = METHODS[name], trial.subject, trial.reference
    summed = np.tensordot(trial.cells, found.sum(axis=0), axes=([1, 2], [0, 1]))
    deleted, inserted = _curves(trial, np.argsort(-summed, kind="stable"))
    noise = torch.randn(subject.window.shape, generator=torch.Generator().manual_seed(trial.seed)) * NOISE
    noisy = subject.seen(subject.window + noise)

    def kept(other: Subject, seed: int, places: NDArray[np.int64]) -> float:
        """Return how the map agrees with that of another input or network; the intervention by these blocks."""
        if name == "intervention":
            blocks = reference.blocks.some(places)
            return agreement(blocks.spread(reference.effects[places]), blocks.spread(exhaustive(other, blocks)))
        return agreement(found, method.make(other, reference, seed).map)

    stability = kept(noisy, trial.seed + 1, trial.fewer)
    unchanged = None if trial.shuffled is None else kept(trial.shuffled, trial.seed, trial.places)
    rank = 1.0 if name == "intervention" else rank_correlation(reference.blocks.sums(found), reference.effects)
    incomplete = None
    if method.promise is not None:
        promised = method.promise(subject, reference)
        incomplete = abs(float(found.sum()) - promised) / max(abs(promised), 1e-12)
    row = Fidelity(
        name,
        *_area(trial.deleted - deleted),
        *_area(inserted - trial.inserted),
        completeness_error=incomplete,
        rank_correlation=rank,
        stability=stability,
        unchanged=unchanged,
        failed="",
    )
    return replace(row, failed=failures(row))


def agreement(one: Map, other: Map) -> float:
    """Return the rank correlation of two maps over the pixels of their active areas.

    Far from the region all maps are near zero, whatever the model: there they would always agree.
    """
    first, second = one.sum(axis=0), other.sum(axis=0)
    active = _active(first) | _active(second)
    return rank_correlation(first[active], second[active])


def shuffled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy whose parameters keep their values but not their places: nothing of what was learned is left."""
    generator = torch.Generator().manual_seed(seed)
    other = copy.deepcopy(network)
    for parameter in other.parameters():
        flat = parameter.data.flatten()
        parameter.data = flat[torch.randperm(len(flat), generator=generator)].reshape(parameter.shape)
    return other


def _curves(trial: Trial, order: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores as the cells in this order are taken away, and as they alone are there."""
    subject, cells = trial.subject, trial.cells
    counts = [max(1, round(share * len(cells))) for share in SHARES]
    masks = np.stack([cells[order[:count]].sum(axis=0) for count in counts]).clip(0, 1)
    return subject.scores(subject.without(masks)), subject.scores(subject.without(1 - masks))


def _area(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean distance from the random orders (orders, shares), and its 95 % interval over them."""
    each = differences.mean(axis=1)
    half = float(stdtrit(len(each) - 1, 0.975) * each.std(ddof=1) / np.sqrt(len(each)))
    return float(each.mean()), float(each.mean()) - half, float(each.mean()) + half


def _active(summed: NDArray[np.float64]) -> NDArray[np.bool_]:
    values = cv2.GaussianBlur(np.abs(summed), (0, 0), 2.0).ravel()
    order = np.argsort(-values)
    held = np.cumsum(values[order]) / max(float(values.sum()), 1e-300)
    active = np.zeros(len(values), bool)
    active[order[: int(np.searchsorted(held, ACTIVE)) + 1]] = True
    return active.reshape(summed.shape)


def failures(row: Fidelity) -> str:
    """Return in words what a map failed, "" for nothing."""
    tests = {
        "deletion no better than random": row.deletion_low <= 0,
        "insertion no better than random": row.insertion_low <= 0,
        "does not add up": (row.completeness_error or 0.0) > MOST_INCOMPLETE,
        "disagrees with intervention": row.rank_correlation < LEAST_RANK,
        "unstable": row.stability < LEAST_STABILITY,
        "the same with shuffled weights": (row.unchanged or 0.0) > MOST_UNCHANGED,
    }
    return ", ".join(name for name, failed in tests.items() if failed)
