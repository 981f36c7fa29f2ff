"""One small network with real weights, exported once for all tests of this folder."""

import pytest
import torch

from unblur.networks.nafnet import NAFNet


@pytest.fixture(scope="session")
def network():
    """Two levels, few blocks (export takes a second a block), every parameter away from zero."""
    torch.manual_seed(0)
    made = NAFNet(width=8, encoder_blocks=[0, 1], middle_blocks=0, decoder_blocks=[0, 1])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


@pytest.fixture(scope="session")
def files(network, tmp_path_factory):
    """The exported files by format; what is compiled takes a minute and has a test of its own."""
    from unblur.export.formats import FORMATS, export_model

    folder = tmp_path_factory.mktemp("export")
    names = [name for name in FORMATS if name != "aotinductor"]
    return dict(zip(names, export_model(network, names, folder, opset=18), strict=True))
