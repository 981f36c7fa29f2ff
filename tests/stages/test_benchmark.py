"""The benchmark stage on the smallest network there is."""

import csv
import json

import numpy as np
import pytest

from unblur.config.instantiate import instantiate
from unblur.config.schema import BenchmarkConfig, PathsConfig, PipelineConfig
from unblur.data.manifest import PairRow, write_manifest
from unblur.data.pictures import write_pictures
from unblur.errors import UnblurError
from unblur.records.chosen import read_chosen
from unblur.runtimes.choice import choose
from unblur.safety.hashing import sha256_file
from unblur.stages.benchmark import main as benchmark
from unblur.training.weights import load_model, save_model

MODEL = {
    "_target_": "unblur.networks.nafnet.NAFNet",
    "width": 4,
    "encoder_blocks": [0],
    "middle_blocks": 0,
    "decoder_blocks": [0],
}


def prepared(root):
    """One pair of validation and one of test."""
    rng = np.random.default_rng(0)
    rows = []
    for split in ("val", "test"):
        for kind in ("blur", "sharp"):
            (root / split / kind).mkdir(parents=True)
            write_pictures(root / split / kind / "a.png", rng.integers(0, 255, (24, 20, 3), dtype=np.uint8))
        names = (f"{split}/blur/a.png", f"{split}/sharp/a.png")
        rows.append(PairRow(f"{split}_a", split, "a", "a.png", *names, 0, "shake", 3.0, {}, "", ""))
    write_manifest(root, rows)
    return root


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_model(instantiate(MODEL), MODEL, tmp_path / "train" / "model")
    return PipelineConfig(
        paths=PathsConfig(
            train=str(tmp_path / "train"),
            prune=str(tmp_path / "prune"),
            quantize=str(tmp_path / "quantize"),
            export=str(tmp_path / "export"),
            benchmark=str(tmp_path / "benchmark"),
            prepared=str(prepared(tmp_path / "prepared")),
        ),
        benchmark=BenchmarkConfig(sizes=[[16, 24], [8, 8]], rounds=2, warmup=1, threads=1),
    )


@pytest.mark.slow
def test_every_variant_is_measured_at_every_size(config, tmp_path, capsys):
    from unblur.export.onnx import export_onnx

    network = load_model(tmp_path / "train" / "model")
    export_onnx(network, tmp_path / "export" / "trained" / "model.onnx")
    benchmark.__wrapped__(config)
    with (tmp_path / "benchmark" / "latency.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    runtimes = ["pytorch", "pytorch channels-last", "pytorch channels-last bf16"]
    runtimes += ["onnxruntime", "openvino", "openvino bf16"]
    assert [(row["height"], row["runtime"]) for row in rows] == [(h, name) for h in ("16", "8") for name in runtimes]
    figures = [float(row[key]) for row in rows for key in ("median_ms", "load_ms", "first_ms", "peak_mb", "file_mb")]
    assert min(figures) > 0
    written = json.loads((tmp_path / "benchmark" / "complexity.json").read_text())
    assert written["parameters"] == sum(p.numel() for p in network.parameters())
    assert written["macs_256"] > 0
    (deployed,) = {row["runtime"] for row in rows if row["chosen"]}
    found = read_chosen(tmp_path / "benchmark")
    assert (found.variant, found.file, found.parent) == ("trained", "trained/model.onnx", "")
    assert deployed.startswith(found.runtime)
    assert found.sha256 == sha256_file(tmp_path / "export" / "trained" / "model.onnx")
    assert found.teacher == sha256_file(tmp_path / "train" / "model" / "model.safetensors")
    assert choose(found.sha256) == (found.runtime, found.precision)
    assert (tmp_path / "benchmark" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "x eager" in shown
    assert "What next?" in shown


def test_the_benchmark_says_what_has_to_run_before(config):
    with pytest.raises(UnblurError, match=r"trained/model\.onnx is not there; run `unblur export` first"):
        benchmark.__wrapped__(config)
