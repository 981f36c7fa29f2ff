"""The export stage on the smallest network there is."""

import csv

import pytest
from omegaconf import OmegaConf

from unblur.config.compose import compose
from unblur.config.descent import write_lineage
from unblur.config.instantiate import instantiate
from unblur.config.schema import ExportConfig, PathsConfig, PipelineConfig
from unblur.errors import UnblurError
from unblur.stages.export import main as export
from unblur.training.weights import save_model

MODEL = {
    "_target_": "unblur.networks.nafnet.NAFNet",
    "width": 4,
    "encoder_blocks": [0],
    "middle_blocks": 0,
    "decoder_blocks": [0],
}


@pytest.fixture
def config(tmp_path):
    save_model(instantiate(MODEL), MODEL, tmp_path / "train" / "model")
    names = ("train", "prune", "quantize", "export")
    return PipelineConfig(
        paths=PathsConfig(**{name: str(tmp_path / name) for name in names}),
        export=ExportConfig(formats=["onnx", "pt2"], sizes=[[1, 16, 24], [2, 7, 13]]),
    )


def read(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_every_format_is_written_and_compared(config, tmp_path, capsys):
    export.__wrapped__(config)
    assert (tmp_path / "export" / "trained" / "model.onnx").is_file()
    assert (tmp_path / "export" / "trained" / "model.pt2").is_file()
    rows = read(tmp_path / "export" / "parity.csv")
    assert [(row["variant"], row["format"], row["compared"], row["passed"]) for row in rows] == [
        ("trained", "onnx", "1x16x24", "True"),
        ("trained", "onnx", "2x7x13", "True"),
        ("trained", "pt2", "1x16x24", "True"),
        ("trained", "pt2", "2x7x13", "True"),
    ]
    assert "What next?" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "example"),
    [
        ("burst_tiny", "unblur restore --burst SHOTS/ OUT.png --model"),
        ("estrnn_tiny", "unblur restore CLIP.mp4 OUT.mp4 --model"),
    ],
)
def test_the_next_step_is_one_for_the_task(config, tmp_path, capsys, model, example):
    chosen = OmegaConf.to_container(compose([f"model={model}"]).model)
    save_model(instantiate(chosen), chosen, tmp_path / "train" / "model")
    config.export.formats, config.export.sizes = ["onnx"], [[1, 16, 24]]
    export.__wrapped__(config)
    assert example in capsys.readouterr().out


@pytest.mark.slow
def test_a_failed_parity_is_an_error_but_its_table_is_kept(config, tmp_path):
    config.export.formats = ["pt2"]
    config.export.tolerance = -1.0  # nothing is that near
    with pytest.raises(UnblurError, match="2 of 2 parity checks failed"):
        export.__wrapped__(config)
    assert [row["passed"] for row in read(tmp_path / "export" / "parity.csv")] == ["False", "False"]


def test_a_format_that_is_none_leaves_what_was_there(config, tmp_path):
    config.export.formats = ["onxx"]
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "parity.csv").write_text("before")
    with pytest.raises(UnblurError, match="did you mean 'onnx'"):
        export.__wrapped__(config)
    assert (tmp_path / "export" / "parity.csv").read_text() == "before"


def test_what_was_quantized_of_another_training_is_not_exported(config, tmp_path):
    (tmp_path / "quantize" / "trained_int8").mkdir(parents=True)
    (tmp_path / "quantize" / "trained_int8" / "model.onnx").touch()
    write_lineage(config.paths, "quantize", tmp_path / "quantize")
    save_model(instantiate({**MODEL, "width": 8}), {**MODEL, "width": 8}, tmp_path / "train" / "model")
    with pytest.raises(UnblurError, match=r"quantize/lineage\.json was made of .*train/model/model\.safetensors is .*"):
        export.__wrapped__(config)
    assert not (tmp_path / "export").exists()
