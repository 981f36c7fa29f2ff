"""The maps that say what a model leans on, by name: what each needs, and how it is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.errors import UnblurError, UsageError
from unblur.explaining.blocks import Blocks, Map
from unblur.explaining.gradients import grouped_gradients, input_gradients, integrated_gradients, local_attribution
from unblur.explaining.intervention import exhaustive, refined
from unblur.explaining.subject import Subject
from unblur.explaining.superpixels import lime, occlusion


@dataclass(frozen=True)
class Reference:
    """The intervention that the maps are held to: what the score loses without each block.

    The map that is made of it looks closer at up to `closer` blocks.
    """

    blocks: Blocks
    across: int
    effects: NDArray[np.float64]
    closer: int

    @property
    def groups(self) -> Blocks:
        """The blocks in groups that are scattered over the window."""
        return self.blocks.scattered(self.across)


@dataclass(frozen=True)
class Made:
    """A map (K, h, w), and what is to be said of how it was made, such as the R2 of LIME's fit."""

    map: Map
    notes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """How a map is made.

    `make` takes the subject, the reference intervention and a seed. `promise` returns what the map is to sum to, None
    for a map that promises nothing.
    """

    title: str
    about: str
    make: Callable[[Subject, Reference, int], Made]
    gradients: bool = False
    promise: Callable[[Subject, Reference], float] | None = None
    draws: bool = False


def _lime(subject: Subject, reference: Reference, seed: int) -> Made:
    found = lime(subject, seed=seed)
    return Made(found.map, {"r2": found.r2, "superpixels": found.superpixels})


def _without_all(subject: Subject, reference: Reference) -> float:
    """Return what the score loses when everything is taken away."""
    whole, nothing = subject.scores(torch.stack([subject.window, subject.missing]))
    return float(whole - nothing)


def _without_each_group(subject: Subject, reference: Reference) -> float:
    """Return what the score loses without each group of blocks, summed up."""
    return float(exhaustive(subject, reference.groups).sum())


METHODS = {
    "lam": Method(
        "local attribution (LAM)",
        "gradients along a path of decreasing blur",
        lambda subject, reference, seed: Made(local_attribution(subject)),
        gradients=True,
        promise=_without_all,
    ),
    "grouped_gradients": Method(
        "gradients in groups",
        "gradients from the picture without a sixteenth of its blocks, for one sixteenth after the other",
        lambda subject, reference, seed: Made(grouped_gradients(subject, reference.groups)),
        gradients=True,
        promise=_without_each_group,
    ),
    "integrated_gradients": Method(
        "integrated gradients",
        "gradients along the straight line from the blurred picture",
        lambda subject, reference, seed: Made(integrated_gradients(subject)),
        gradients=True,
        promise=_without_all,
    ),
    "input_gradients": Method(
        "input gradients",
        "the gradient at the input alone",
        lambda subject, reference, seed: Made(input_gradients(subject)),
        gradients=True,
    ),
    "occlusion": Method(
        "occlusion",
        "a square slides over the input and takes it away",
        lambda subject, reference, seed: Made(occlusion(subject)),
    ),
    "lime": Method("LIME", "a linear model over superpixels", _lime, draws=True),
    "intervention": Method(
        "intervention",
        "each block is taken away, then the parts of those that matter",
        lambda subject, reference, seed: Made(
            refined(subject, reference.blocks, reference.across, reference.effects, most=reference.closer)
        ),
    ),
}


def chosen(names: Sequence[str] | None, subject: Subject, model: str) -> list[str]:
    """Return the methods of these names; None takes all that the model allows.

    Raises:
        UsageError: see `check_names`.
        UnblurError: one needs gradients and the model has none.
    """
    check_names(names)
    if names is None:
        return [name for name, method in METHODS.items() if subject.network is not None or not method.gradients]
    for name in names:
        if METHODS[name].gradients and subject.network is None:
            free = ", ".join(other for other, method in METHODS.items() if not method.gradients)
            msg = f"{model}: has no gradients, which {name} needs; take {free}, or a folder with model.safetensors"
            raise UnblurError(msg)
    return list(names)


def check_names(names: Sequence[str] | None) -> None:
    """Check names of methods; None is all of them.

    Raises:
        UsageError: there is no such method, or none is named.
    """
    if names is not None and not names:
        msg = f"no map is named; there are {', '.join(METHODS)}"
        raise UsageError(msg)
    for name in names or ():
        if name not in METHODS:
            msg = f"{name}: no such map; there are {', '.join(METHODS)}"
            raise UsageError(msg)


def reference_of(subject: Subject, blocks: Blocks, across: int, closer: int = 16) -> Reference:
    """Return the intervention on every block."""
    return Reference(blocks, across, exhaustive(subject, blocks), closer)
