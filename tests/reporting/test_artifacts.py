import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.evaluation.bootstrap import paired_bootstrap
from unblur.evaluation.score_table import mean_table
from unblur.records.scores import read_scores, write_scores
from unblur.reporting.artifacts import deployed_latency, gain_interval, headline, read_artifacts


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("train/run.json", "train"),
        ("evaluate/metrics.json", "evaluate"),
        ("evaluate/per_image.csv", "evaluate"),
        ("export/parity.csv", "export"),
        ("benchmark/latency.csv", "benchmark"),
        ("benchmark/complexity.json", "benchmark"),
        ("reports/data.json", "check-data"),
    ],
)
@pytest.mark.parametrize("broken", [None, "[1, 2", "a,b\n"])
def test_a_missing_or_broken_file_names_its_stage(artifacts_paths, tmp_path, name, stage, broken):
    (tmp_path / name).unlink()
    if broken is not None:
        (tmp_path / name).write_text(broken)
    with pytest.raises(UnblurError, match=f"{name}.*`unblur {stage}`"):
        read_artifacts(artifacts_paths)


def test_scores_of_another_model_are_refused(artifacts_paths, tmp_path):
    path = tmp_path / "evaluate" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_sha256": "b" * 64}))
    with pytest.raises(UnblurError, match=r"scores the model bbbbbbbbbbbb.*of aaaaaaaaaaaa; run `unblur evaluate`"):
        read_artifacts(artifacts_paths)


@pytest.mark.parametrize("name", ["metrics.json", "per_image.csv"])
def test_means_that_are_not_those_of_the_scores_are_refused(artifacts_paths, tmp_path, name):
    metrics, scores = (tmp_path / "evaluate" / file for file in ("metrics.json", "per_image.csv"))
    found = json.loads(metrics.read_text())
    found["test"] = mean_table(read_scores(scores))
    if name == "metrics.json":
        found["test"]["model"]["ssim/matlab3d"] += 0.001
    metrics.write_text(json.dumps(found))
    if name == "per_image.csv":
        first, *rows = read_scores(scores)
        write_scores(scores, [dataclasses.replace(first, value=first.value + 0.25), *rows])
    with pytest.raises(UnblurError, match=r"metrics\.json tells .*per_image\.csv is .*`unblur evaluate` again"):
        read_artifacts(artifacts_paths)


def test_a_column_that_is_missing_is_named(artifacts_paths, tmp_path):
    path = tmp_path / "benchmark" / "latency.csv"
    path.write_text(path.read_text().replace("peak_mb", "memory"))
    with pytest.raises(UnblurError, match="lacks peak_mb"):
        read_artifacts(artifacts_paths)


def test_headline_holds_the_figures_of_the_files(artifacts_paths):
    gained = np.array([2, 1, 0.5, -0.25, 3, 1.5])
    interval = paired_bootstrap(gained, [f"scene_{index}" for index in range(6)])
    assert headline(read_artifacts(artifacts_paths)) == pytest.approx(
        {
            "psnr_blurred": 31.0,
            "psnr_model": 31.0 + gained.mean(),
            "psnr_gain": gained.mean(),
            "ssim_blurred": 0.85,
            "ssim_model": 0.85 + gained.mean() * 0.02,
            "ssim_gain": gained.mean() * 0.02,
            "gain_low": interval.low,
            "gain_high": interval.high,
            "nearly_sharp_change": 1.5,
            "parameters": 512345,
            "latency_ms": 450.5,
            "file_mb": 2.25,
            "guarded": 0,
        },
        abs=1e-5,
    )


def test_headline_leaves_out_what_was_not_measured(artifacts_paths, tmp_path):
    scores = tmp_path / "evaluate" / "per_image.csv"
    scores.write_text("".join(line for line in scores.open() if "ssim" not in line))
    metrics = tmp_path / "evaluate" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"nearly_sharp_change": None, "test": {}}))
    found = headline(read_artifacts(artifacts_paths))
    assert "nearly_sharp_change" not in found
    assert not [name for name in found if name.startswith("ssim")]


def test_the_deployed_runtime_is_the_chosen_one_else_what_there_is(artifacts_paths, tmp_path):
    row = deployed_latency(read_artifacts(artifacts_paths))
    assert (row.runtime, row.height) == ("onnxruntime", 720)
    path = tmp_path / "benchmark" / "latency.csv"
    path.write_text("".join(line for line in path.open() if "yes" not in line))
    assert deployed_latency(read_artifacts(artifacts_paths)).runtime == "pytorch"


def test_interval_is_of_the_models_gains(artifacts_paths):
    artifacts = read_artifacts(artifacts_paths)
    assert gain_interval(artifacts).mean == pytest.approx(7.75 / 6)
    assert [Path(path).stem for path in artifacts.panels] == ["pair_3", "pair_4"]
