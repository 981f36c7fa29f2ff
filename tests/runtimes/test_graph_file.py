"""What is run is what was hashed, whoever exchanges a file in between."""

import hashlib

import numpy as np
import onnx
import openvino
import pytest
import torch

from unblur.errors import UnblurError
from unblur.networks.nafnet import NAFNet
from unblur.runtimes.graph_file import read_graph
from unblur.runtimes.restorer import load_restorer
from unblur.runtimes.sessions import open_session
from unblur.safety import hashing
from unblur.safety.hashing import write_listing
from unblur.training.weights import save_model


@pytest.fixture
def batch():
    return np.random.default_rng(0).random((1, 3, 20, 24), dtype=np.float32)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_file_that_is_exchanged_after_it_was_read_changes_nothing(box_onnx, batch, runtime):
    path = box_onnx(3)
    expected = load_restorer(path, 1, runtime="onnxruntime", precision="f32")(batch)
    file = read_graph(path)
    box_onnx(7)
    assert file.sha256 != hashlib.sha256(path.read_bytes()).hexdigest()
    session = open_session(file, "box", runtime=runtime, threads=1)
    np.testing.assert_allclose(session.run({"blur": batch})[0], expected, atol=1e-6)


def test_openvinos_two_files_are_read_once(box_onnx, batch, tmp_path):
    path = box_onnx(3)
    openvino.save_model(openvino.Core().read_model(path), tmp_path / "box.xml", compress_to_fp16=False)
    file = read_graph(tmp_path / "box.xml")
    assert file.sha256 == hashlib.sha256((tmp_path / "box.bin").read_bytes()).hexdigest()
    (tmp_path / "box.bin").write_bytes(bytes(len(file.weights)))
    found = open_session(file, "box", runtime="openvino", threads=1).run({"blur": batch})[0]
    expected = load_restorer(path, 1, runtime="onnxruntime", precision="f32")(batch)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_weights_in_a_file_of_their_own_belong_to_the_hash(box_onnx, batch, tmp_path, runtime):
    whole = box_onnx(3)
    parted = tmp_path / "parted.onnx"
    model = onnx.load(whole)
    onnx.save(model, parted, save_as_external_data=True, location="parted.data", size_threshold=0)
    first = load_restorer(parted, 1, runtime=runtime, precision="f32")
    np.testing.assert_allclose(
        first(batch), load_restorer(whole, 1, runtime=runtime, precision="f32")(batch), atol=1e-6
    )
    content = (tmp_path / "parted.data").read_bytes()
    (tmp_path / "parted.data").write_bytes(bytes(len(content)))
    second = load_restorer(parted, 1, runtime=runtime, precision="f32")
    assert second.sha256 != first.sha256
    assert np.abs(second(batch)).max() == 0
    (tmp_path / "parted.data").unlink()
    with pytest.raises(UnblurError, match=r"parted\.data: is missing"):
        load_restorer(parted, 1, runtime=runtime)


def test_weights_outside_of_the_models_folder_are_refused(box_onnx, tmp_path):
    path = box_onnx(3)
    model = onnx.load(path)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret.data")
    model.graph.initializer[0].ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnblurError, match=r"keeps weights in '\.\./secret\.data', expected a file beside it"):
        load_restorer(path)


def test_the_weights_that_are_loaded_are_the_ones_that_were_compared(tmp_path, monkeypatch):
    """Somebody exchanges the file at the moment after it was read for the comparison."""
    config = {"_target_": "unblur.networks.nafnet.NAFNet", "width": 4, "encoder_blocks": [1], "middle_blocks": 0}
    config["decoder_blocks"] = [0]
    for seed, name in enumerate(("one", "other")):
        torch.manual_seed(seed)
        network = NAFNet(width=4, encoder_blocks=[1], middle_blocks=0, decoder_blocks=[0])
        save_model(network, config, tmp_path / name)
    weights = tmp_path / "one" / "model.safetensors"
    expected = weights.read_bytes()

    def require_then_exchange(file, listed, found, compare=hashing.require_listed):
        compare(file, listed, found)
        if file == weights:
            weights.write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())

    monkeypatch.setattr(hashing, "require_listed", require_then_exchange)
    restorer = load_restorer(tmp_path / "one", 1)
    assert restorer.sha256 == hashlib.sha256(expected).hexdigest()
    assert weights.read_bytes() != expected
    found = {name: value.clone() for name, value in restorer._network.state_dict().items()}
    monkeypatch.undo()
    weights.write_bytes(expected)
    again = load_restorer(tmp_path / "one", 1)._network.state_dict()
    assert all(torch.equal(found[name], again[name]) for name in again)


def test_a_program_is_compared_with_its_listing(tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"first")
    write_listing([path], tmp_path)
    path.write_bytes(b"other")
    with pytest.raises(UnblurError, match=r"model\.pt2: "):
        load_restorer(path)
