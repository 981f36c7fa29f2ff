import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from unblur.commands import models, restore


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command of this process: (exit code, output, errors)."""

    def run(stage, *arguments):
        monkeypatch.setattr("sys.argv", ["unblur", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            stage.main()
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return run


def scaled(factor: float) -> bytes:
    """A model that multiplies a picture's light."""
    image = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("blur", "restored")
    ]
    by = helper.make_tensor("by", TensorProto.FLOAT, [], [factor])
    graph = helper.make_graph([helper.make_node("Mul", ["by", "blur"], ["restored"])], "n", image[:1], image[1:], [by])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


@pytest.fixture
def grey(tmp_path, monkeypatch):
    """A picture of 200 everywhere, in a project without a registry."""
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Image.fromarray(np.full((20, 30, 3), 200, np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def light(path):
    return np.asarray(Image.open(path)).mean()


def test_the_list_tells_what_is_where(run, room, monkeypatch):
    monkeypatch.setattr("unblur.console.console.width", 160)
    figure = {"metric": "PSNR", "data": "pairs", "value": "31.5 dB", "where": "a paper"}
    room("box", None)
    room("inside", b"content", published=[figure])
    room("far", b"content", source={"url": "https://example.com/x"}, own=[{**figure, "value": "30.5 dB"}])
    code, out, _ = run(models)
    assert code == 0
    lines = {line.split("│")[1].strip(): line for line in out.splitlines() if "a box blur" in line}
    assert "not yet in this version" in lines["box"]
    assert "comes with unblur" in lines["inside"]
    assert lines["far"].rstrip(" │").endswith("no")
    (published,) = (line for line in out.splitlines() if "31.5 dB" in line)
    (own,) = (line for line in out.splitlines() if "30.5 dB" in line)
    assert "published" in published
    assert "ours" in own


def test_get_from_a_file_then_check_then_restore(run, room, tmp_path, grey):
    content = scaled(0.5)
    (tmp_path / "given.onnx").write_bytes(content)
    path = room("far", content, source={"url": "https://127.0.0.1:9/x"}, file="far.onnx")
    code, _, err = run(restore, grey, tmp_path / "out.png", "--model", "far")
    assert (code, err.count("\n")) == (1, 1)
    assert "far: is not on this machine; `unblur models get far` fetches it" in err
    assert not path.parent.exists()

    code, out, err = run(models, "get", "far", "--from", tmp_path / "given.onnx")
    assert (code, err) == (0, "")
    assert "SHA-256 right" in out
    assert run(models, "check")[0] == 0
    assert run(restore, grey, tmp_path / "out.png", "--model", "far", "--no-guard")[0] == 0
    assert light(tmp_path / "out.png") == 100

    path.write_bytes(scaled(0.25))
    code, _, err = run(models, "check", "far")
    assert code == 1
    assert "its SHA-256 is another" in err
    code, _, err = run(restore, grey, tmp_path / "again.png", "--model", "far")
    assert code == 1
    assert not (tmp_path / "again.png").exists()


def test_without_a_champion_the_box_is_taken_and_said(run, room, tmp_path, grey):
    room("box", scaled(0.5))
    room("box_fast", scaled(0.25))
    code, out, err = run(restore, grey, tmp_path / "out.png", "--no-guard")
    assert code == 0
    assert err == "note: no models:/unblur@champion: box is taken, the model that comes with unblur\n"
    assert "restored with box" in out
    assert light(tmp_path / "out.png") == 100
    code, _, err = run(restore, grey, tmp_path / "fast.png", "--fast", "--no-guard")
    assert (code, err) == (0, "")
    assert light(tmp_path / "fast.png") == 50


def test_without_a_champion_and_a_box_the_registry_is_named(run, room, tmp_path, grey):
    room("box", None)
    room("box_fast", None)
    code, _, err = run(restore, grey, tmp_path / "out.png")
    assert code == 1
    assert "models:/unblur@champion: no such model version" in err
    code, _, err = run(restore, grey, tmp_path / "out.png", "--fast")
    assert (code, err) == (1, "error: box_fast: not yet in this version of unblur\n")


def test_a_choice_that_does_not_fit_the_champion_is_no_reason_for_the_box(run, room, tmp_path, grey):
    room("box", scaled(0.5))
    code, _, err = run(restore, grey, tmp_path / "out.png", "--fast", "--model", "box")
    assert code == 2
    assert "give one of them" in err


@pytest.mark.parametrize("arguments", [("get", "bax"), ("check", "bax")])
def test_an_unknown_name_is_one_line(run, room, arguments):
    room("box", None)
    assert run(models, *arguments) == (1, "", "error: bax: no model of that name; did you mean 'box'?\n")
