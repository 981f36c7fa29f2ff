"""The quantization stage on the smallest network there is."""

import csv
import json
import shutil

import onnx
import pytest

from unblur.config.compose import checked, compose
from unblur.errors import UnblurError
from unblur.safety.owned import owned_folder
from unblur.stages.quantize import main as stage

SMALL = ("logger=none", "quantize.kinds=[int8,int8_weights,fp16]")


@pytest.fixture(scope="module")
def trained(prepared_project, tmp_path_factory, tiny, run_stage):
    """A project with a trained model."""
    root = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(prepared_project, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("UNBLUR_ROOT", str(root))
        run_stage("train", *tiny, "logger=none")
    return root


@pytest.fixture
def root(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setenv("UNBLUR_ROOT", str(trained))
    return trained


@pytest.mark.pipeline
@pytest.mark.slow
def test_every_kind_is_written_with_its_cost_and_goes_on_to_export(root, tiny, run_stage):
    shown = run_stage("quantize", *tiny, *SMALL).stdout
    folder = root / "artifacts/quantize"
    record = json.loads((folder / "quantize.json").read_text())
    found = record["models"]["trained"]
    assert found["kept"] == ["fp16", "int8", "int8_weights"]
    assert found["layers_int8"] == found["layers"] > 0
    assert len(found["calibration"]) == 2  # one batch of two
    assert (record["seed"], found["trained_for_int8"], found["parts_in_float"]) == (0, False, [])
    for kind in found["kept"]:
        onnx.checker.check_model(onnx.load(folder / f"trained_{kind}" / "model.onnx"), full_check=True)
        assert found["costs"][kind]["lost_db"] <= 1.0
    with (folder / "trained_sensitivity.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert sum(int(row["layers"]) for row in rows) == found["layers"]
    assert (folder / "trained_sensitivity.png").read_bytes().startswith(b"\x89PNG")
    assert "What next?" in shown

    run_stage("export", *tiny, "export.formats=[onnx,openvino]")
    graphs = [root / f"artifacts/{stage}/trained/model.onnx" for stage in ("quantize", "export")]
    assert graphs[0].read_bytes() == graphs[1].read_bytes()  # traced once
    with (root / "artifacts/export/parity.csv").open() as stream:
        parity = [(row["variant"], row["format"], row["unit"]) for row in csv.DictReader(stream)]
    for kind in found["kept"]:
        assert {(f"trained_{kind}", "onnx", "dB"), (f"trained_{kind}", "openvino", "dB")} <= set(parity)
    photo, out = root / "data/photos/a.png", root / "out.png"
    run_stage("restore", photo, out, "--model", root / "artifacts/export/trained_int8")
    assert out.is_file()


@pytest.mark.pipeline
@pytest.mark.slow
def test_what_breaks_its_budget_is_trained_for_it_and_else_refused(root, tiny, run_stage):
    unreachable = ("quantize.max_lost_db=-50", "quantize.finetune.epochs=1", "quantize.kinds=[int8,fp16]")
    shown = run_stage("quantize", *tiny, "logger=none", *unreachable).stdout
    assert "training with quantization in the loop" in " ".join(shown.split())
    assert shown.count("REFUSED") == 2
    folder = root / "artifacts/quantize"
    found = json.loads((folder / "quantize.json").read_text())["models"]["trained"]
    assert (found["kept"], found["layers_int8"], found["trained_for_int8"]) == ([], 0, True)
    assert not list(folder.glob("trained_*/model.onnx"))
    assert (folder / "trained_trained_for_int8" / "model.safetensors").is_file()
    run_stage("export", *tiny, "export.formats=[onnx]")
    assert [path.name for path in (root / "artifacts/export").iterdir() if path.is_dir()] == ["trained"]


def test_an_unknown_kind_is_told_and_leaves_what_was_there(root, tiny):
    cfg = checked(compose([*tiny, "quantize.kinds=[int4]"]))
    before = root / "artifacts/quantize/before"
    with owned_folder(before.parent, "quantize", {}) as new:
        (new / before.name).touch()
    with pytest.raises(UnblurError, match=r"quantize\.kinds has int4; known: int8, int8_weights, fp16"):
        stage.__wrapped__(cfg)
    assert before.is_file()
