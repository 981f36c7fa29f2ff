"""NAFNet against the official implementation and the paper's figures.

references/nafnet_tiny.pth and .npz were made with the official code: random weights (beta and gamma too), fp32, CPU;
x is a 21x34 image and y the official network's output for it.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unblur.errors import UnblurError
from unblur.networks.local_mean import LocalMean
from unblur.networks.nafnet import NAFNet

REFERENCES = Path(__file__).parent / "references"


def blocks_at(keys, prefix):
    """Number of blocks under `prefix`: one more than the largest index that follows it."""
    return 1 + max(int(key.removeprefix(prefix).split(".")[0]) for key in keys if key.startswith(prefix))


def from_official(weights):
    """Read width and numbers of blocks off an official checkpoint's keys and load it."""
    levels = blocks_at(weights, "encoders.")
    network = NAFNet(
        width=weights["intro.weight"].shape[0],
        encoder_blocks=[blocks_at(weights, f"encoders.{level}.") for level in range(levels)],
        middle_blocks=blocks_at(weights, "middle_blks."),
        decoder_blocks=[blocks_at(weights, f"decoders.{level}.") for level in range(levels)],
    )
    network.load_state_dict(weights, strict=True)
    return network.eval()


def test_official_weights_give_the_official_output():
    weights = torch.load(REFERENCES / "nafnet_tiny.pth", weights_only=True)["params"]
    reference = np.load(REFERENCES / "nafnet_tiny.npz")
    with torch.no_grad():
        restored = from_official(weights)(torch.from_numpy(reference["x"])).numpy()
    assert np.abs(restored - reference["y"]).max() < 1e-5


@pytest.mark.parametrize(
    ("width", "parameters", "macs"),
    [(32, 17.11e6, 16e9), (64, 67.89e6, 63e9)],  # the paper's table and the official repository's README
)
def test_size_and_cost_are_the_papers(width, parameters, macs):
    with torch.device("meta"):
        network = NAFNet(width=width, encoder_blocks=[1, 1, 1, 28], middle_blocks=1, decoder_blocks=[1, 1, 1, 1])
        image = torch.empty(1, 3, 256, 256)
    with FlopCounterMode(display=False) as counter:
        network(image)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, rel=5e-4)
    assert counter.get_total_flops() / 2 == pytest.approx(macs, rel=0.01)


def test_a_new_network_starts_close_to_its_input():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 20, 20)
    network = NAFNet(width=8, encoder_blocks=[1], middle_blocks=1, decoder_blocks=[1])
    torch.nn.init.zeros_(network.ending.weight)
    torch.nn.init.zeros_(network.ending.bias)
    assert torch.equal(network(image), image)


def test_extra_input_channels_guide_but_are_not_restored():
    network = NAFNet(in_channels=4, out_channels=3, width=4, encoder_blocks=[1], middle_blocks=1, decoder_blocks=[1])
    assert network(torch.rand(2, 4, 9, 5)).shape == (2, 3, 9, 5)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"encoder_blocks": [1, 1], "decoder_blocks": [1]}, "2 encoder levels and 1"),
        ({"in_channels": 1}, "in_channels=1"),
    ],
)
def test_impossible_shapes_are_refused_in_one_line(arguments, named):
    with pytest.raises(UnblurError, match=named):
        NAFNet(**arguments)


@pytest.mark.parametrize(("size", "windows"), [(16, [24, 12, 12, 24, 6]), (18, [30, 15, 15, 30, 7])])
def test_local_windows_are_those_of_the_first_pass_that_the_official_code_makes(size, windows):
    """There a window is features * int(1.5 * size) // size of a random patch, padded to a multiple of 4 here.

    Down, up, and the middle last.
    """
    network = NAFNet(
        width=4, encoder_blocks=[1, 1], middle_blocks=1, decoder_blocks=[1, 1], statistics="local", train_size=size
    )
    assert [module.window for module in network.modules() if isinstance(module, LocalMean)] == windows
