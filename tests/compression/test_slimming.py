import pytest
import torch

from unblur.benchmark.complexity import complexity
from unblur.compression.depth import shallower
from unblur.compression.importance import KINDS, importance
from unblur.compression.slimming import Limits, slim
from unblur.compression.units import find_units
from unblur.errors import UnblurError
from unblur.networks.estrnn import ESTRNN
from unblur.networks.nafnet import NAFNet
from unblur.training.weights import load_model, save_model

CONFIG = {
    "_target_": "unblur.networks.nafnet.NAFNet",
    "width": 16,
    "encoder_blocks": [1, 2],
    "middle_blocks": 2,
    "decoder_blocks": [1, 1],
}


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = NAFNet(**{key: value for key, value in CONFIG.items() if key != "_target_"}).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.fixture
def batches():
    torch.manual_seed(1)
    return [(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)) for _ in range(2)]


def squared(restored, sharp):
    return (restored - sharp).square().mean()


def macs(network):
    return complexity(network).macs_256


def by_magnitude(network, units):
    return importance("magnitude", network, units, [], squared)


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_nothing_matters_least(network, batches, kind):
    with torch.no_grad():
        conv = network.encoders[0][0].conv4  # its gate's halves: channels 3 and 3 + 16
        conv.weight[[3, 19]] = 0
        conv.bias[[3, 19]] = 0
        network.encoders[0][0].conv5.weight[:, 3] = 0
    units = find_units(network)
    scores = dict(zip([u.name for u in units], importance(kind, network, units, batches, squared), strict=True))
    assert scores["encoders.0.0.conv4"].argmin() == 3
    assert all(len(scores[unit.name]) == unit.size for unit in units)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_an_unknown_importance_is_told(network):
    with pytest.raises(UnblurError, match="unknown importance 'random'"):
        importance("random", network, [], [], squared)


@pytest.mark.parametrize("stream", [True, False])
def test_the_target_is_met_and_not_by_far(network, stream):
    slimmer = slim(network, by_magnitude, macs, 0.6 * macs(network), Limits(multiple=4, stream=stream))
    assert 0.4 * macs(network) < macs(slimmer) <= 0.6 * macs(network)
    widths = {
        name: p.shape[0] for name, p in slimmer.named_parameters() if name.endswith(("conv1.weight", "intro.weight"))
    }
    assert all(width % 4 == 0 for width in widths.values())
    assert (widths["intro.weight"] < 16) == stream
    assert slimmer(torch.rand(1, 3, 13, 21)).shape == (1, 3, 13, 21)


def test_a_target_out_of_reach_is_told(network):
    with pytest.raises(UnblurError, match=r"pruning reaches .* at best"):
        slim(network, by_magnitude, macs, 0.01 * macs(network), Limits(multiple=4))


def test_blocks_that_change_nothing_go_first(network, batches):
    with torch.no_grad():
        for name in ("encoders.1.0", "middle_blks.1"):
            block = network.get_submodule(name)
            block.beta.zero_()
            block.gamma.zero_()
    image = batches[0][0]
    with torch.no_grad():
        whole = network(image)
        slimmer = shallower(network, 2, lambda each: float(squared(each(image), whole)))
    gone = {name for name, module in slimmer.named_modules() if isinstance(module, torch.nn.Identity)}
    assert gone == {"encoders.1.0", "middle_blks.1"}
    with torch.no_grad():
        torch.testing.assert_close(slimmer(image), network(image))
    with pytest.raises(UnblurError, match="no more blocks"):
        shallower(network, 8, lambda each: 0.0)


def test_what_was_pruned_is_saved_and_loaded_as_it_is(network, tmp_path):
    slimmer = shallower(network, 1, lambda each: 0.0)
    slimmer = slim(slimmer, by_magnitude, macs, 0.5 * macs(network), Limits(multiple=4))
    save_model(slimmer, CONFIG, tmp_path)
    again = load_model(tmp_path)
    image = torch.rand(2, 3, 19, 10)
    with torch.no_grad():
        assert torch.equal(again(image), slimmer(image))
    assert macs(again) == macs(slimmer)


def test_weights_of_other_shapes_than_were_written_down_are_refused(network, tmp_path):
    slimmer = slim(network, by_magnitude, macs, 0.5 * macs(network), Limits(multiple=4))
    save_model(slimmer, CONFIG, tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("intro.weight", "extro.weight"))
    (tmp_path / "sha256.json").unlink()  # as a model of an earlier version, which has no listing
    with pytest.raises(UnblurError, match=r"does not fit config\.json"):
        load_model(tmp_path)


def test_units_of_one_block_lose_their_own_channels_together(batches):
    """Of dense layers each is an input of those after it, whose places move when it loses something."""
    torch.manual_seed(0)
    whole = ESTRNN(width=4, blocks=2).eval()
    limits = Limits(multiple=1, smallest=0.25, stream=False)
    slimmer = slim(whole, by_magnitude, macs, 0.8 * macs(whole), limits)
    clip = torch.rand(1, 3, 3, 16, 20)
    with torch.no_grad():
        assert slimmer(clip).isfinite().all()
    assert macs(slimmer) <= 0.8 * macs(whole)
