"""A very small trained model and its ONNX file, as the stages before the benchmark leave them."""

import pytest
import torch

from unblur.networks.nafnet import NAFNet
from unblur.training.weights import save_model

CONFIG = {
    "_target_": "unblur.networks.nafnet.NAFNet",
    "width": 4,
    "encoder_blocks": [1],
    "middle_blocks": 0,
    "decoder_blocks": [0],
}


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """A folder with train/model and export/model.onnx."""
    from unblur.export.onnx import export_onnx

    folder = tmp_path_factory.mktemp("artifacts")
    torch.manual_seed(0)
    network = NAFNet(**{key: value for key, value in CONFIG.items() if key != "_target_"}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_model(network, CONFIG, folder / "train" / "model")
    export_onnx(network, folder / "export" / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def variant_files(artifacts):
    """What each variant loads."""
    from unblur.benchmark.variants import VARIANTS

    return {name: v.file(artifacts / "train" / "model", artifacts / "export") for name, v in VARIANTS.items()}
