import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.commands.import_weights import main
from unblur.networks.official import load_official, read_official
from unblur.training.weights import load_model

REFERENCES = Path(__file__).parents[1] / "networks" / "references"


@pytest.mark.parametrize("name", ["nafnet_tiny", "restormer_tiny", "estrnn_tiny"])
def test_an_official_checkpoint_becomes_a_model_that_restores_the_same(tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr("sys.argv", ["unblur import-weights", str(REFERENCES / f"{name}.pth"), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    blur = torch.from_numpy(np.load(REFERENCES / f"{name}.npz")["x"])
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path / "out")(blur), load_official(REFERENCES / f"{name}.pth")(blur))
    assert "What next?" in capsys.readouterr().out


def test_names_in_brackets_are_shown_as_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["unblur import-weights", str(REFERENCES / "nafnet_tiny.pth"), "out[/y]"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "Imported into out[/y]" in " ".join(told.split())
    assert "--model out[/y] " in told


def test_nafnet_may_be_imported_with_local_statistics(tmp_path, monkeypatch, capsys):
    name = REFERENCES / "nafnet_tiny.pth"
    arguments = [str(name), str(tmp_path / "out"), "--train-size", "16"]
    monkeypatch.setattr("sys.argv", ["unblur import-weights", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    arrays = np.load(REFERENCES / "nafnet_tiny_local.npz")
    with torch.no_grad():
        restored = load_model(tmp_path / "out")(torch.from_numpy(arrays["x"])).numpy()
    assert np.abs(restored - arrays["y_local"]).max() < 1e-5
    monkeypatch.setattr("sys.argv", ["", str(REFERENCES / "restormer_tiny.pth"), *arguments[1:]])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "local statistics are for NAFNet" in capsys.readouterr().err


def test_another_model_is_replaced_only_on_demand(tmp_path, capsys, monkeypatch):
    def imported(name, *more):
        monkeypatch.setattr("sys.argv", ["", str(REFERENCES / f"{name}.pth"), str(tmp_path / "out"), *more])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    assert imported("nafnet_tiny") == 0
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert imported("nafnet_tiny") == 0
    for other in (("restormer_tiny",), ("nafnet_tiny", "--train-size", "16")):
        assert imported(*other) == 1
        assert "from something else" in capsys.readouterr().err
        assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    assert imported("restormer_tiny", "--overwrite") == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() != before


def test_the_bytes_that_are_hashed_are_the_bytes_that_are_loaded(tmp_path, monkeypatch):
    """Somebody exchanges the file as soon as it has been opened."""
    expected = load_official(REFERENCES / "nafnet_tiny.pth").state_dict()
    path = tmp_path / "nafnet.pth"
    shutil.copy(REFERENCES / "nafnet_tiny.pth", path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def then_exchange(file, *arguments, really=Path.open, **more):
        stream = really(file, *arguments, **more)
        if file == path:
            path.unlink()
            shutil.copy(REFERENCES / "restormer_tiny.pth", path)
        return stream

    monkeypatch.setattr(Path, "open", then_exchange)
    found = read_official(path)
    assert found.sha256 == sha256
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.build().state_dict().items())


def test_a_damaged_file_is_one_line_and_writes_nothing(tmp_path, capsys, monkeypatch):
    shutil.copy(REFERENCES / "nafnet_tiny.pth", tmp_path / "cut.pth")
    data = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: len(data) // 2])
    monkeypatch.setattr("sys.argv", ["unblur import-weights", str(tmp_path / "cut.pth"), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    errors = capsys.readouterr().err
    assert "cut.pth" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()
