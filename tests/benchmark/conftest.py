"""A very small trained model, its ONNX file and one of 16 bits, as the stages before the benchmark leave them."""

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
    """A folder with train/model, quantize/trained_fp16 and export/."""
    import onnx

    from unblur.compression.graph_parts import halved
    from unblur.export.onnx import export_onnx

    folder = tmp_path_factory.mktemp("artifacts")
    torch.manual_seed(0)
    network = NAFNet(**{key: value for key, value in CONFIG.items() if key != "_target_"}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_model(network, CONFIG, folder / "train" / "model")
    export_onnx(network, folder / "export" / "trained" / "model.onnx")
    half = halved(onnx.load(folder / "export" / "trained" / "model.onnx"), smallest=2)
    for place in ("quantize", "export"):
        (folder / place / "trained_fp16").mkdir(parents=True)
        onnx.save(half, folder / place / "trained_fp16" / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def paths(artifacts):
    """Where they are."""
    from unblur.config.schema import PathsConfig

    return PathsConfig(
        train=str(artifacts / "train"),
        prune=str(artifacts / "prune"),
        quantize=str(artifacts / "quantize"),
        export=str(artifacts / "export"),
    )


@pytest.fixture(scope="session")
def entered(paths):
    """The candidates by name."""
    from unblur.benchmark.candidates import candidates, named

    return named(candidates(paths))
