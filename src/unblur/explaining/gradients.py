"""Attribution by gradients: of the input, integrated from a blurred picture, along a path of blur, and in groups.

Integrated gradients are Sundararajan et al. 2017 (ICML), by captum. The path of decreasing blur is that of LAM, local
attribution maps (Gu and Dong 2021, CVPR): its maps show which pixels take part in a region.
"""

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from unblur.explaining.blocks import Blocks, Map
from unblur.explaining.subject import BLUR_SIGMA, FEW, Subject, at_once, blurred

STEPS = (16, 32, 64, 128)  # along the path of blur
GROUP_STEPS = 2  # along the way from the picture without a group of blocks
MISSED = 0.01  # of what the map is to sum to


def input_gradients(subject: Subject) -> Map:
    """Return the gradient times what a pixel has beyond the blurred picture: one step, by captum."""
    method = InputXGradient(lambda beyond: subject.score(subject.missing + beyond))
    return _summed(method.attribute((subject.window - subject.missing)[None].clone().requires_grad_())[0])


def integrated_gradients(subject: Subject, steps: int = 16) -> Map:
    """Return integrated gradients along the straight line from the blurred picture, by captum."""
    method = IntegratedGradients(subject.score)
    found = method.attribute(
        subject.window[None], baselines=subject.missing[None], n_steps=steps, internal_batch_size=4
    )
    return _summed(found[0])


def local_attribution(subject: Subject) -> Map:
    """Return gradients integrated along a path of blur that decreases evenly to none (LAM).

    By the trapezoidal rule: the gradients at both ends of a step count half each, times what the step changes. Steps
    are doubled until the map sums to what the score loses without the picture, within MISSED of it, or there are as
    many as STEPS allow; the gradients of before are used again.
    """
    whole, nothing = subject.scores(torch.stack([subject.window, subject.missing]))
    promised = float(whole - nothing)
    gradients: dict[float, Tensor] = {}
    for steps in STEPS:
        found = _along_blur(subject, steps, gradients)
        if abs(float(found.sum()) - promised) <= MISSED * abs(promised):
            break
    return found


def grouped_gradients(subject: Subject, groups: Blocks) -> Map:
    """Return gradients integrated from the picture without a group of blocks, for one group after the other.

    Where all of the picture is taken away at once, what its parts do together is shared out among them. Here most of it
    stays, and the blocks of a group should lie far apart: so the share of each is nearly what the score loses without
    it alone. Over a group the map sums to what the score loses without the group, by the midpoint rule.
    """
    places = ((torch.arange(GROUP_STEPS) + 0.5) / GROUP_STEPS)[:, None, None, None, None]

    def share(mask: NDArray[np.float32]) -> Tensor:
        without = subject.without(mask[None])[0]
        beyond = subject.window - without
        return _gradient(subject, without + places * beyond).mean(dim=0) * beyond

    return _summed(torch.stack(at_once(share, groups.masks)).sum(dim=0))


def diffusion_index(attribution: Map) -> float:
    """Return LAM's diffusion index: (1 - Gini) * 100 of absolute attribution; larger where more pixels take part."""
    values = np.sort(np.abs(attribution).ravel())
    if values.sum() == 0:
        return 0.0
    count = len(values)
    gini = 2 * float((np.arange(1, count + 1) * values).sum()) / (count * float(values.sum())) - (count + 1) / count
    return 100 * (1 - gini)


def contribution_area(attribution: Map, share: float = 0.9) -> int:
    """Return how many pixels hold `share` of the absolute attribution, the strongest first."""
    values = np.sort(np.abs(attribution).ravel())[::-1].cumsum()
    return int(np.searchsorted(values, share * values[-1])) + 1 if values[-1] > 0 else 0


def _along_blur(subject: Subject, steps: int, gradients: dict[float, Tensor]) -> Map:
    """Integrate in so many steps; `gradients` holds those that are known, by place from 0 to 1, and gets the others."""
    places = [step / steps for step in range(steps + 1)]
    path = [blurred(subject.window, BLUR_SIGMA * (1 - place)) for place in places]
    unknown = [i for i, place in enumerate(places) if place not in gradients]
    if unknown:
        few = torch.split(torch.stack([path[i] for i in unknown]), FEW)
        found = torch.cat(at_once(lambda inputs: _gradient(subject, inputs), few))
        gradients |= dict(zip((places[i] for i in unknown), found, strict=True))
    total = torch.zeros_like(subject.window)
    for i, place in enumerate(places):
        total += gradients[place] * (path[min(i + 1, steps)] - path[max(i - 1, 0)]) / 2
    return _summed(total)


def _gradient(subject: Subject, inputs: Tensor) -> Tensor:
    inputs = inputs.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(subject.score(inputs).sum(), inputs)
    return gradient


def _summed(attribution: Tensor) -> Map:
    """(K, 3, h, w) -> (K, h, w)."""
    return attribution.detach().sum(dim=1).double().numpy()
