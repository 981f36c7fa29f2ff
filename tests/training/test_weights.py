"""A model's folder: what is written comes back, and damage is told in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.config.instantiate import instantiate
from unblur.errors import UnblurError
from unblur.models.loading import load_by_name
from unblur.safety.hashing import sha256_file
from unblur.training.weights import About, folder_of, load_model, read_about, save_model

MODEL = {"_target_": "unblur.networks.nafnet.NAFNet", "width": 4, "encoder_blocks": [1], "decoder_blocks": [1]}


@pytest.fixture
def saved(tmp_path):
    network = instantiate(MODEL)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    digest = save_model(network.to(memory_format=torch.channels_last), MODEL, tmp_path / "model")
    return network.eval(), tmp_path / "model", digest


def test_round_trip(saved):
    network, folder, digest = saved
    assert digest == sha256_file(folder / "model.safetensors")
    again = load_model(folder)
    x = torch.rand(1, 3, 9, 14)
    assert not again.training
    assert torch.equal(again(x), network.to(memory_format=torch.contiguous_format)(x))
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "sha256.json"]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_flipped_bit_is_noticed(saved, name):
    _, folder, _ = saved
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UnblurError, match=rf"{name}: is not the file that was written here"):
        load_model(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no model"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a model's configuration"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"xx"), "not a safetensors file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "missing"),
        (
            lambda folder: (folder / "config.json").write_text(json.dumps({"model": MODEL | {"width": 8}})),
            "does not fit",
        ),
        (lambda folder: (folder / "config.json").write_text('{"model": {"_target_": "os.system"}}'), "refused"),
    ],
)
def test_damage_is_one_line(saved, damage, message):
    _, folder, _ = saved
    (folder / "sha256.json").unlink()
    damage(folder)
    with pytest.raises(UnblurError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_the_weights_in_the_box_are_there_to_be_trained_further() -> None:
    """In another form than the file that restores, but the same."""
    folder = folder_of("box")
    assert read_about(folder) == About("box", "Apache-2.0")
    blur = np.random.default_rng(0).random((1, 3, 72, 96), dtype=np.float32)
    with torch.inference_mode():
        trained = load_model(folder)(torch.from_numpy(blur)).numpy()
    deployed = load_by_name("box", precision="f32")(blur)
    assert np.abs(trained - deployed).max() < 0.01
    assert np.abs(trained - blur).max() > 0.03


def test_what_is_neither_a_folder_nor_a_name_is_told_apart_from_a_damaged_folder() -> None:
    with pytest.raises(
        UnblurError, match=r"nowhere: is no folder with a model, and no model that .* \(these do: box\)"
    ):
        folder_of("nowhere")


def test_what_weights_are_called_stands_with_them(tmp_path: Path) -> None:
    save_model(instantiate(MODEL), MODEL, tmp_path)
    assert read_about(tmp_path) == About("", "")
    save_model(instantiate(MODEL), MODEL, tmp_path, About("mine", "CC0"))
    assert read_about(tmp_path) == About("mine", "CC0")
