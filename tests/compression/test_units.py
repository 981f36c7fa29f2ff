from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from unblur.compression.units import example, find_units
from unblur.config.instantiate import instantiate
from unblur.networks.multi_axis import Mixing

MODELS = sorted((Path(__file__).parents[2] / "conf" / "model").glob("*_tiny.yaml"))


@pytest.fixture(params=MODELS, ids=lambda path: path.stem)
def network(request):
    torch.manual_seed(0)
    made = instantiate(OmegaConf.to_container(OmegaConf.load(request.param))).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


def test_what_is_removed_is_what_was_silent(network):
    """Things whose every part is zero are removed without a change of the output."""
    for name in [unit.name for unit in find_units(network) if unit.size > 1]:
        (unit,) = [each for each in find_units(network) if each.name == name]
        chosen = [unit.size - 1] if unit.size < 4 else [1, unit.size - 1]
        with torch.no_grad():
            for _, weight, axis, places, owners in unit.parts:
                silent = [place for place, owner in zip(places, owners, strict=True) if owner in chosen]
                weight.transpose(0, axis)[silent] = 0
        if unit.stream:  # norms count the channels, and the residual carries biases: shape alone is told below
            unit.remove(chosen)
            continue
        image = example(network)
        with torch.no_grad():
            before = network(image)
            unit.remove(chosen)
            torch.testing.assert_close(network(image), before, rtol=1e-4, atol=1e-5)


def test_every_unit_can_lose_a_part_and_the_network_still_runs(network):
    positions = sum(p.numel() for m in network.modules() if isinstance(m, Mixing) for p in m.parameters())
    parameters = sum(p.numel() for p in network.parameters()) - positions  # they are no channels, and stay
    for name in [unit.name for unit in find_units(network) if unit.size > 1]:
        (unit,) = [each for each in find_units(network) if each.name == name]
        unit.remove(range(unit.size // 2))
    image = example(network)
    assert network(image).isfinite().all()
    assert sum(p.numel() for p in network.parameters()) - positions < 0.87 * parameters


def test_a_network_that_says_nothing_has_no_units():
    assert find_units(nn.Conv2d(3, 3, 1)) == []
