import csv
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from unblur.config.schema import PathsConfig, PipelineConfig
from unblur.data.images import write_png
from unblur.errors import UnblurError
from unblur.records.scores import Score, write_scores
from unblur.safety.owned import MARKER, REPORTS, claim_folder
from unblur.stages.report import main

run = main.__wrapped__

BLURRED, GAINED = [40.0, 28.0, 25.0, 22.0], [-0.5, 1.0, 2.0, 0.5]


@pytest.fixture
def cfg(tmp_path, make_photo):
    """Artifacts of four pairs, as the stages before this one write them."""
    # Each of them, as the checkout that the tests run in may hold what a pipeline has made.
    paths = PathsConfig(**{each.name: str(tmp_path / each.name) for each in fields(PathsConfig)})
    blurs = [("identity", 0.0), ("shake", 5.0), ("defocus", 9.0), ("shake", 16.0)]
    scores = [
        Score(
            f"p{index}", f"s{index}", method, *blurs[index], "psnr/literature", BLURRED[index] + factor * GAINED[index]
        )
        for method, factor in (("blurred", 0), ("unsharp", -1), ("model", 1))
        for index in range(4)
    ]
    write_scores(tmp_path / "evaluate" / "per_image.csv", scores)
    write_png(tmp_path / "evaluate" / "panels" / "p2.png", make_photo(40, 60))
    files = {
        "train/run.json": {"model_sha256": "a" * 64, "seconds": 60, "steps": 8, "git_sha": "unknown"},
        "train/history.csv": "step,train_loss,val_psnr\n4,0.1,25\n8,0.05,26\n",
        "evaluate/metrics.json": {
            "profile": "psnr/literature",
            "test": {},
            "gain": {},
            "strata": {},
            "guarded": 0,
            "pairs": 4,
            "model_sha256": "a" * 64,
            "nearly_sharp_change": -0.5,
            "seconds_per_megapixel": {"blurred": 0, "unsharp": 0.1, "model": 1},
        },
        "export/parity.csv": "variant,format,compared,figure,limit,unit,passed\ntrained,onnx,1x8x8,1e-6,0.0001,,True\n",
        "benchmark/latency.csv": "variant,runtime,height,width,threads,median_ms,spread_ms,load_ms,first_ms,peak_mb,"
        "file_mb,psnr,ssim,colour_shift,lost_db,chosen\n"
        "trained,onnxruntime,64,64,2,12.5,1,1,1,1,2.5,31.5,0.91,0.002,0.001,yes\n",
        "benchmark/complexity.json": {"parameters": 1234, "macs_256": 1e8},
        "reports/data.json": {"errors": 0, "warnings": 0, "pictures": 4, "others": 0, "splits": {}, "findings": []},
    }
    claim_folder(tmp_path / "reports", REPORTS)
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return PipelineConfig(paths=paths)


def test_figures_are_those_of_the_scores(cfg, capsys):
    run(cfg)
    reports = Path(cfg.paths.reports)
    figures = json.loads((reports / "metrics.json").read_text())
    assert figures["psnr_blurred"] == pytest.approx(28.75)
    assert figures["psnr_model"] == pytest.approx(29.5)
    assert figures["psnr_gain"] == pytest.approx(0.75)
    assert figures["gain_low"] < 0.75 < figures["gain_high"]
    assert (figures["nearly_sharp_change"], figures["latency_ms"], figures["parameters"]) == (-0.5, 12.5, 1234)
    assert all(isinstance(value, int | float) for value in figures.values())
    page = (reports / "report.html").read_text(encoding="utf-8")
    assert "+0.75&nbsp;dB" in page
    assert "29.50" in page
    assert "-0.50" in page
    shown = capsys.readouterr().out
    assert "psnr_gain" in shown
    assert "What next?" in shown


def test_plot_data_is_what_dvc_yaml_names(cfg):
    run(cfg)
    plots = Path(cfg.paths.reports) / "plots"
    assert sorted(path.name for path in plots.iterdir()) == ["strength_gain.csv", "training.csv"]
    with (plots / "strength_gain.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(float(row["strength"]), float(row["gain"])) for row in rows] == list(
        zip([0.0, 5.0, 9.0, 16.0], GAINED, strict=True)
    )
    with (plots / "training.csv").open() as stream:
        assert [row["val_psnr"] for row in csv.DictReader(stream)] == ["25.0", "26.0"]


def test_a_missing_part_names_its_stage_and_writes_nothing(cfg):
    (Path(cfg.paths.benchmark) / "latency.csv").unlink()
    with pytest.raises(UnblurError, match="`unblur benchmark`"):
        run(cfg)
    assert sorted(path.name for path in Path(cfg.paths.reports).iterdir()) == [MARKER, "data.json"]


def test_a_report_of_ones_own_is_not_overwritten(cfg):
    reports = Path(cfg.paths.reports)
    (reports / MARKER).unlink()
    (reports / "report.html").write_text("mine")
    with pytest.raises(UnblurError, match=r"reports: holds data\.json and 1 more files"):
        run(cfg)
    assert (reports / "report.html").read_text() == "mine"


def test_needs_no_torch():
    code = (
        "import sys, unblur.stages.report, unblur.reporting.report, unblur.reporting.artifacts; "
        "print({'torch', 'lightning', 'mlflow', 'skimage'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
