import numpy as np
import pytest
import torch

from unblur.errors import UnblurError
from unblur.networks.nafnet import NAFNet
from unblur.runtimes.pytorch import TorchRestorer
from unblur.runtimes.restorer import load_restorer
from unblur.safety.hashing import sha256_file
from unblur.training.weights import save_model

CONFIG = {
    "_target_": "unblur.networks.nafnet.NAFNet",
    "width": 8,
    "encoder_blocks": [1],
    "middle_blocks": 1,
    "decoder_blocks": [1],
}


@pytest.fixture
def trained(tmp_path):
    torch.manual_seed(0)
    network = NAFNet(width=8, encoder_blocks=[1], middle_blocks=1, decoder_blocks=[1]).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    save_model(network, CONFIG, tmp_path / "model")
    return network, tmp_path / "model"


def test_it_restores_as_the_network_does(trained):
    network, folder = trained
    restorer = load_restorer(folder)
    assert restorer.sha256 == sha256_file(folder / "model.safetensors")
    batch = np.random.default_rng(0).random((2, 3, 17, 23), dtype=np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(batch)).numpy()
    restored = restorer(batch)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, expected, atol=1e-5)
    assert np.abs(restored - batch).max() > 0.01


def test_bfloat16_is_close_and_comes_back_as_float32(trained):
    batch = np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    exact, rough = TorchRestorer(trained[1])(batch), TorchRestorer(trained[1], bf16=True)(batch)
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.05


def test_an_input_that_does_not_fit_the_memory_is_told_in_one_line(trained):
    side = 2**24  # no memory holds so many pixels; as given, they are one value seen many times
    endless = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (1, 3, side, side), (0, 0, 0, 0))
    with pytest.raises(UnblurError, match=r"model: fails on an input of \(1, 3, .*; try a smaller --tile$"):
        load_restorer(trained[1], device="cpu")(endless)


def test_the_device_that_is_asked_for_is_taken(trained):
    assert load_restorer(trained[1], device="cpu")._device == torch.device("cpu")
    if torch.cuda.is_available():
        assert load_restorer(trained[1], device="cuda")._device == torch.device("cuda")
        assert load_restorer(trained[1])._device == torch.device("cuda")


def test_a_gpu_that_is_not_there_is_refused(trained, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnblurError, match="model: --device cuda, but PyTorch finds no GPU on this machine"):
        load_restorer(trained[1], device="cuda")
    assert load_restorer(trained[1])._device == torch.device("cpu")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"device": "tensorrt"}, "cannot be run on tensorrt; give an .onnx file"),
        ({"runtime": "openvino"}, "cannot be run by openvino; give an .onnx file"),
    ],
)
def test_choices_that_pytorch_has_not_are_refused(trained, asked, told):
    with pytest.raises(UnblurError, match=told):
        load_restorer(trained[1], **asked)
