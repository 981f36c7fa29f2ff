import io
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from onnx import TensorProto, helper

from unblur.config.tracking import tracking_client
from unblur.errors import NoModelVersionError, UnblurError
from unblur.models.catalogue import find
from unblur.models.check import check
from unblur.models.loading import load_by_name, load_chosen, readable
from unblur.networks.maxim import MAXIM
from unblur.networks.official_maxim import flax_name
from unblur.serving.served import load_served


def negative() -> bytes:
    """1 - x as an ONNX model."""
    image = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("blur", "restored")
    ]
    one = helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])
    graph = helper.make_graph(
        [helper.make_node("Sub", ["one", "blur"], ["restored"])], "n", image[:1], image[1:], [one]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


def published(network) -> bytes:
    """The network's weights as a flat archive of Flax, (h, w, in, out) kernels."""
    arrays = {}
    for name, tensor in network.state_dict().items():
        array = tensor.numpy()
        if array.ndim == 2:
            array = array.T
        elif array.ndim == 4:
            array = array.transpose(2, 3, 0, 1)[::-1, ::-1] if ".up" in name else array.transpose(2, 3, 1, 0)
        arrays[f"opt/target/{flax_name(name)}"] = array
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_a_model_of_the_box_restores_by_name(room):
    room("box", negative())
    batch = np.random.default_rng(0).random((1, 3, 20, 30), dtype=np.float32)
    restorer = load_by_name("box", 1)
    assert restorer.name == "box"
    np.testing.assert_allclose(restorer(batch), 1 - batch, atol=4e-3)  # bfloat16 where the processor has it


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A client of an empty MLflow store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    return tracking_client()


def test_the_box_stands_in_for_a_champion_that_is_not_there_but_for_none_that_cannot_be_read(room, registry):
    room("box", negative())
    assert load_chosen(None, 1).name == "box"
    registry.create_registered_model("unblur")
    assert load_chosen(None, 1).name == "box"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    registry.create_model_version("unblur", f"http://127.0.0.1:{port}/api/2.0/mlflow-artifacts/artifacts/model")
    registry.set_registered_model_alias("unblur", "champion", "1")
    for load in (load_chosen, lambda reference, threads: load_served(reference, threads, 0, 64)):
        with pytest.raises(NoModelVersionError, match=r"(?s)models:/unblur.*Max retries exceeded") as caught:
            load(None, 1)
        assert not caught.value.is_absent


def test_neither_planned_nor_damaged_models_are_opened(room):
    room("planned", None)
    with pytest.raises(UnblurError, match="planned: not yet in this version of unblur"):
        load_by_name("planned")
    path = room("box", negative())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnblurError, match=r"is not the file of box .*install unblur again"):
        load_by_name("box")


def test_a_path_is_a_folder_and_no_name(room, tmp_path, monkeypatch):
    room("box", None)
    (tmp_path / "box").mkdir()
    (tmp_path / "box/model.onnx").write_bytes(negative())
    monkeypatch.chdir(tmp_path)
    for folder in (Path("./box"), "./box"):
        assert load_chosen(folder, 1).task == "image"
    with pytest.raises(UnblurError, match="box: not yet in this version"):
        load_chosen("box", 1)


def test_outputs_are_compared_with_those_that_are_stored(room, tmp_path):
    path = room("box", negative(), reference="box.npz")
    folder = tmp_path / "room" / "references"
    folder.mkdir()
    x = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    np.savez(folder / "box.npz", x=x, y=1 - x / np.float32(255))
    found = check(find("box"))
    assert found.error is None
    assert found.difference < 1e-6
    np.savez(folder / "box.npz", x=x, y=x / np.float32(255))
    found = check(find("box"))
    assert found.difference > 0.5
    assert "box: its outputs differ from the stored ones by" in found.error
    path.write_bytes(b"other")
    assert "its SHA-256 is another" in check(find("box")).error


@pytest.mark.slow
def test_published_weights_are_turned_into_ours_once_and_never_fetched(room, tmp_path):
    torch.manual_seed(0)
    network = MAXIM(width=32, stages=1, groups=2, bottleneck_blocks=2).eval()
    content = published(network)
    entry = {"source": {"url": "https://example.com/x"}, "file": "checkpoint.npz", "reads": "maxim"}
    path = room("maxim", content, parameters={1: 6134371}, **entry)
    with pytest.raises(UnblurError, match="`unblur models get maxim`"):
        load_by_name("maxim")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    batch = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(batch).numpy()
    np.testing.assert_allclose(load_by_name("maxim")(batch.numpy()), expected, atol=1e-5)
    folder = readable(find("maxim"))
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert (readable(find("maxim")) / "model.safetensors").stat().st_mtime_ns == made
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UnblurError, match=r"model\.safetensors: is not the file that was written here"):
        load_by_name("maxim")
    readable(find("maxim"), again=True)
    np.testing.assert_allclose(load_by_name("maxim")(batch.numpy()), expected, atol=1e-5)
    assert sorted(path.parent.glob("[!.]*")) == [path, path.with_name("checkpoint.npz.stages-1")]
    assert not list(path.parent.glob(".converting-*"))


def test_what_another_process_is_turning_into_ours_is_waited_for_and_taken(room):
    entry = {"source": {"url": "https://example.com/x"}, "file": "checkpoint.npz", "reads": "maxim"}
    path = room("maxim", b"no weights: whoever tries to turn these fails", parameters={1: 6134371}, **entry)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no weights: whoever tries to turn these fails")
    folder = path.with_name("checkpoint.npz.stages-1")
    found = []
    thread = threading.Thread(target=lambda: found.append(readable(find("maxim"))))
    with FileLock(path.with_name(".checkpoint.npz.stages-1.lock")):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"ours")
    thread.join(30)
    assert found == [folder]
    assert (folder / "model.safetensors").read_bytes() == b"ours"
