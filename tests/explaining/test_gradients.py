"""Of a linear network all attributions are the same, and known: weight times what is taken away."""

import numpy as np
import pytest
import torch
from torch import nn

from unblur.explaining import gradients
from unblur.explaining.blocks import grid
from unblur.explaining.gradients import (
    MISSED,
    contribution_area,
    diffusion_index,
    grouped_gradients,
    input_gradients,
    integrated_gradients,
    local_attribution,
)
from unblur.explaining.intervention import exhaustive


def in_groups(subject):
    return grouped_gradients(subject, grid(*subject.side, 8).scattered(8))


@pytest.mark.parametrize("method", [input_gradients, integrated_gradients, local_attribution, in_groups])
def test_a_linear_network_is_attributed_exactly(method, subject):
    inputs = subject.window[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(subject.score(inputs).sum(), inputs)
    expected = (gradient[0] * (subject.window - subject.missing)).sum(dim=1).numpy()
    found = method(subject)
    assert np.abs(found - expected).max() < 2e-6
    whole, nothing = subject.scores(torch.stack([subject.window, subject.missing]))
    assert whole == pytest.approx(1, abs=1e-5)
    assert found.sum() == pytest.approx(whole - nothing, abs=1e-4)


def test_what_the_network_cannot_see_adds_nothing(subject):
    found = local_attribution(subject)[0]
    seen = np.zeros(found.shape, bool)
    seen[38:66, 30:58] = True  # the region and 2 pixels around it
    assert np.abs(found[~seen]).max() == 0
    assert np.abs(found[seen]).max() > 0


def test_diffusion_index_of_one_pixel_and_of_all():
    one = np.zeros((1, 10, 10))
    one[0, 3, 3] = 2.0
    assert diffusion_index(one) == pytest.approx(1.0)  # 100 / pixels
    assert diffusion_index(np.ones((1, 10, 10))) == pytest.approx(100)
    assert (contribution_area(one), contribution_area(np.ones((1, 10, 10)))) == (1, 90)


class Saturating(nn.Module):
    """What a network adds, but no more than a hundredth of white: its gradients change much along the path."""

    task = "image"

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return x + 0.01 * torch.tanh(100 * (self.network(x) - x))


def test_steps_are_added_until_the_map_sums_up(network, subject, monkeypatch):
    curved = subject.of(Saturating(network))
    whole, nothing = curved.scores(torch.stack([curved.window, curved.missing]))

    def missed():
        return abs(local_attribution(curved).sum() / (whole - nothing) - 1)

    assert missed() <= MISSED
    monkeypatch.setattr(gradients, "STEPS", (2,))
    assert missed() > MISSED  # so few are not enough


class Twofold(nn.Module):
    """Corrects a pixel by the detail there or at its mirror image, whichever is more: one does for the other."""

    task = "image"

    def forward(self, x):
        detail = (x - x.mean(dim=(2, 3), keepdim=True)).abs().mean(dim=1, keepdim=True)
        return x + 0.1 * torch.maximum(detail, detail.flip(3))


def test_in_groups_a_block_counts_as_much_as_is_lost_without_it_alone(subject):
    both = subject.of(Twofold())
    blocks = grid(*subject.side, 8)
    alone = exhaustive(both, blocks)
    grouped, together = (
        np.abs(blocks.sums(found) - alone).mean() for found in (in_groups(both), integrated_gradients(both))
    )
    assert grouped < 0.5 * together


def test_in_groups_each_sums_to_what_is_lost_without_it(network, subject):
    curved, groups = subject.of(Saturating(network)), grid(*subject.side, 8).scattered(8)
    lost = exhaustive(curved, groups)
    assert np.abs(groups.sums(grouped_gradients(curved, groups)) - lost).max() < 0.02 * np.abs(lost).max()


def test_gradients_of_fewer_steps_are_used_again(subject, monkeypatch):
    taken = []
    real = gradients._gradient
    monkeypatch.setattr(gradients, "_gradient", lambda *given: taken.extend(given[1]) or real(*given))
    monkeypatch.setattr(gradients, "MISSED", -1.0)  # never near enough
    local_attribution(subject)
    assert len(taken) == gradients.STEPS[-1] + 1
