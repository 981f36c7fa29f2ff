"""A small network whose parameters are away from zero, and its folded ONNX graph."""

import onnx
import pytest
import torch

from unblur.networks.nafnet import NAFNet


@pytest.fixture(scope="session")
def nafnet():
    """Two levels with a block each."""
    torch.manual_seed(0)
    made = NAFNet(width=8, encoder_blocks=[1, 1], middle_blocks=1, decoder_blocks=[1, 1]).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


@pytest.fixture(scope="session")
def graph(nafnet, tmp_path_factory):
    """Its graph, in float32."""
    from unblur.export.onnx import export_onnx
    from unblur.networks.folding import fold

    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_onnx(fold(nafnet), file)
    return onnx.load(file)
