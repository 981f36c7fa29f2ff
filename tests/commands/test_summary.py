"""`unblur summary` from the files of a pipeline."""

from typing import Any

import pytest

from unblur.commands.summary import main, method_row, read_registry
from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.records.latency import deployed, read_latency
from unblur.records.scores import read_evaluation


def test_everything_in_one_page(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project.judged()
    tracking_client().set_registered_model_alias("unblur", "champion", "1")
    project.write("reports/report.html", "<html></html>")
    main.__wrapped__(project.cfg)
    said = capsys.readouterr().out
    assert "Mean over 6 test pairs" in said
    assert "unblur v1: candidate, challenger, champion" in said
    assert "report.html" in said.replace("\n", "")
    assert "make ui" in said
    assert "models:/unblur@champion" in said.replace("\n", "")


def test_before_anything_is_registered_no_store_is_made(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    store = project.root / "mlflow.db"
    store.unlink()
    main.__wrapped__(project.cfg)
    assert "not registered yet" in capsys.readouterr().out
    assert read_registry("unblur") == {}
    assert not store.exists()


def test_size_and_latency_stand_beside_the_model_alone(project: Any) -> None:
    metrics = read_evaluation(project.root / "artifacts/evaluate")
    latency = deployed(read_latency(project.root / "artifacts/benchmark"))
    assert (latency.runtime, latency.height) == ("onnxruntime", 720)
    profiles = ["psnr/literature", "ssim/matlab3d"]
    assert method_row("model", metrics, profiles, latency) == ["model", "26.80", "0.8100", "0.50", "6.4", "1010"]
    assert method_row("unsharp", metrics, profiles, latency) == ["unsharp", "24.90", "0.7400", "0.50", "", ""]
    assert method_row("model", metrics, profiles, None)[-2:] == ["", ""]


def test_what_is_missing_names_the_stage(project: Any) -> None:
    (project.root / "artifacts/benchmark/latency.csv").unlink()
    main.__wrapped__(project.cfg)  # no latency before the benchmark
    (project.root / "artifacts/evaluate/metrics.json").unlink()
    with pytest.raises(UnblurError, match="unblur evaluate"):
        main.__wrapped__(project.cfg)
