from itertools import pairwise

import pytest
import torch

from unblur.errors import UnblurError
from unblur.networks.burst import BurstNet


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = BurstNet(width=8, encoder_blocks=[1, 1], middle_blocks=1, decoder_blocks=[1, 1])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def test_the_order_of_the_other_shots_does_not_matter(network):
    burst = torch.rand(2, 5, 3, 12, 20)
    with torch.no_grad():
        whole = network(burst)
        for order in ([0, 4, 3, 2, 1], [0, 2, 4, 1, 3]):
            assert (network(burst[:, order]) - whole).abs().max() < 1e-5


def test_the_reference_is_the_one_that_is_restored(network):
    burst = torch.rand(1, 4, 3, 12, 20)
    with torch.no_grad():
        assert (network(burst[:, [1, 0, 2, 3]]) - network(burst)).abs().mean() > 0.05


def test_every_shot_counts_and_any_number_will_do(network):
    burst = torch.rand(1, 6, 3, 8, 8)
    with torch.no_grad():
        results = [network(burst[:, :count]) for count in range(1, 7)]
    assert all(result.shape == (1, 3, 8, 8) for result in results)
    for fewer, more in pairwise(results):
        assert (fewer - more).abs().max() > 0


def test_the_same_shot_twice_adds_nothing(network):
    burst = torch.rand(1, 2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(network(burst[:, [0, 1, 1]]), network(burst), rtol=1e-5, atol=1e-6)


def test_a_shot_from_elsewhere_counts_as_one_from_the_same_place(network):
    across, down = torch.arange(64) / 5, torch.arange(64)[:, None] / 4
    scene = (torch.sin(across + torch.sin(down)) + torch.cos(down)).expand(1, 1, 3, -1, -1) / 4 + 0.5
    shots = [scene, scene[..., 3:, 2:]]
    here, there = shots[0][..., :56, :56], shots[1][..., :56, :56]
    with torch.no_grad():
        alone, both = network(here), network(torch.cat([here, there], dim=1))
    assert (both - alone)[..., 12:-12, 12:-12].abs().mean() < 0.03 * (alone - here[:, 0]).abs().mean()


def test_a_new_network_returns_its_reference():
    burst = torch.rand(1, 3, 3, 9, 7)
    assert torch.equal(BurstNet(8, [1], 1, [1])(burst), burst[:, 0])


def test_levels_that_differ_are_refused():
    with pytest.raises(UnblurError, match="2 encoder levels and 1 decoder levels"):
        BurstNet(8, [1, 1], 1, [1])
