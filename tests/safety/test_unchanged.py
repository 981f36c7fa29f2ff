"""A digit of a record that was changed after its stage wrote it is told by whoever reads the record."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from unblur.config.descent import require_descent
from unblur.config.schema import PathsConfig
from unblur.data.manifest import PairRow, read_manifest, write_manifest
from unblur.errors import UnblurError
from unblur.explaining.conformal import Calibration
from unblur.ingest.check import DataReport, write_report
from unblur.records.chosen import Chosen, read_chosen, write_chosen
from unblur.records.data_check import read_data_check
from unblur.records.explanation import (
    COVERAGE,
    FIDELITY,
    Coverage,
    PairFidelity,
    read_coverage,
    read_fidelity,
)
from unblur.records.files import read_json, write_json, write_table
from unblur.records.gate import GateRecord, RuleResult, Subject, read_record, write_record
from unblur.records.latency import (
    Complexities,
    LatencyRow,
    read_complexities,
    read_latency,
    write_complexities,
    write_latency,
)
from unblur.records.parity import ParityRow, read_parity, write_parity
from unblur.records.scores import Evaluation, Score, read_evaluation, read_scores, write_evaluation, write_scores
from unblur.records.training import Step, Training, read_history, read_training, write_training
from unblur.safety.owned import MARKER, owned_folder, read_marker

PAIR = PairRow("p0", "test", "s", "a.png", "b.png", "c.png", 3, "shake", 5.0, {"exposure": 0.125}, "0" * 64, "1" * 64)
LATENCY = LatencyRow("trained", "onnxruntime", 64, 64, 2, 12.5, 1, 1, 1, 1, 2.5, 31.5, 0.91, 0.002, 0.001, chosen=True)
CHOSEN = Chosen("trained", "float", "openvino", "f32", "trained/model.onnx", "a" * 64, "", "b" * 64, 0.125)
EVALUATION = Evaluation("psnr/literature", 4, "a" * 64, {"model": {"psnr/literature": 31.25}}, {}, {}, None, 0, {})


def write_all(root):
    """Every record of a pass of the pipeline, written as the stages write them."""
    paths = PathsConfig()
    parts = {
        "prepare": (
            paths.prepared,
            lambda new: (write_manifest(new, [PAIR]), (new / "sources.csv").write_text("file,split\n1.png,val\n")),
        ),
        "evaluate": (
            paths.evaluate,
            lambda new: (
                write_scores(
                    new / "per_image.csv", [Score("p0", "s0", "model", "shake", 5.0, "psnr/literature", 31.25)]
                ),
                write_evaluation(EVALUATION, new),
            ),
        ),
        "prune": (paths.prune, lambda new: (new / "prune.json").write_text(json.dumps({"lost_db": 0.125}))),
        "quantize": (
            paths.quantize,
            lambda new: (
                (new / "quantize.json").write_text(json.dumps([{"lost_db": 0.125}])),
                (new / "trained_sensitivity.csv").write_text("part,lost_db\nends,0.125\n"),
            ),
        ),
        "export": (
            paths.export,
            lambda new: write_parity([ParityRow("trained", "onnx", "1x8x8", 1.25e-6, 1e-4, "", passed=True)], new),
        ),
        "benchmark": (
            paths.benchmark,
            lambda new: (
                write_latency([LATENCY], new),
                write_chosen(CHOSEN, new),
                write_complexities(Complexities(1234, 100), new),
            ),
        ),
        "explain-pairs": (
            paths.explain,
            lambda new: (
                write_json(
                    new / "calibration.json",
                    Calibration("a" * 64, 0.9, 12, 3, (0.5, 0.25, 0.125), (0.5, -1.0, 0.25, 2.0), 1.0, 2.0),
                ),
                write_table(new / COVERAGE, Coverage, [Coverage("all", 6, 3, 0.9, 0.875, 0.8125, 0.9375)]),
                write_table(new / FIDELITY, PairFidelity, []),
                (new / "summary.json").write_text('{"level": 0.9}'),
                (new / "p0").mkdir(),
                (new / "p0" / "explanation.json").write_text('{"active": 0.25}'),
            ),
        ),
    }
    with owned_folder(root / paths.train / "model", "train", {}) as new:
        (new / "config.json").write_text('{"width": 16}')
    write_training(Training(model_sha256="a" * 64, steps=8, seconds=60.25), [Step(4, 0.125, 25.5)], root / paths.train)
    for command, (folder, write) in parts.items():
        with owned_folder(root / folder, command, {}) as new:
            write(new)
    write_report(DataReport(4, 1, {"test": 4}, []), root / paths.reports / "data.json")
    return paths


READERS = {
    "artifacts/prepared/manifest.csv": ("prepare", lambda file: read_manifest(file.parent)),
    "artifacts/train/run.json": ("train", lambda file: read_training(file.parent)),
    "artifacts/train/history.csv": ("train", read_history),
    "artifacts/evaluate/per_image.csv": ("evaluate", read_scores),
    "artifacts/evaluate/metrics.json": ("evaluate", lambda file: read_evaluation(file.parent)),
    "artifacts/export/parity.csv": ("export", lambda file: read_parity(file.parent)),
    "artifacts/benchmark/latency.csv": ("benchmark", lambda file: read_latency(file.parent)),
    "artifacts/benchmark/chosen.json": ("benchmark", lambda file: read_chosen(file.parent)),
    "artifacts/benchmark/complexity.json": ("benchmark", lambda file: read_complexities(file.parent)),
    "artifacts/explain/calibration.json": ("explain-pairs", lambda file: read_json(file, Calibration, "explain-pairs")),
    "artifacts/explain/coverage.csv": ("explain-pairs", lambda file: read_coverage(file.parent)),
    "reports/data.json": ("check-data", lambda file: read_data_check(file.parent)),
}
BEFORE = {  # stage -> records that are told before it reads anything
    "report": [
        *(name for name in READERS if name.split("/")[1] in ("evaluate", "export", "benchmark", "explain")),
        "artifacts/explain/p0/explanation.json",
        "artifacts/explain/summary.json",
        "artifacts/prune/prune.json",
        "artifacts/quantize/quantize.json",
        "artifacts/quantize/trained_sensitivity.csv",
        "artifacts/train/model/config.json",
    ],
    "register": ["artifacts/prune/prune.json", "artifacts/quantize/quantize.json", "artifacts/benchmark/chosen.json"],
    "evaluate": ["artifacts/train/model/config.json"],
    "train": ["artifacts/prepared/sources.csv"],
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_all(Path())


def flip(file):
    """Exchange the last digit that stands in a number by another one."""
    text = file.read_text()
    at = [found.end() - 1 for found in re.finditer(r"(?<![\w.])\d+(\.\d+)?(?![\w.])", text[: text.find('"sealed"')])]
    at = at or [found.end() - 1 for found in re.finditer(r"\d", text)]
    file.write_text(text[: at[-1]] + str((int(text[at[-1]]) + 1) % 10) + text[at[-1] + 1 :])
    assert file.read_text() != text


@pytest.mark.parametrize("name", READERS)
def test_a_changed_digit_is_told_by_the_reader(name, project):
    command, read = READERS[name]
    read(Path(name))
    flip(Path(name))
    with pytest.raises(UnblurError) as told:
        read(Path(name))
    assert str(told.value) == f"{name}: was changed since `unblur {command}` wrote it; run that again, or `dvc repro`"


@pytest.mark.parametrize(("stage", "name"), [(stage, name) for stage, names in BEFORE.items() for name in names])
def test_a_stage_is_told_of_every_record_before_it(stage, name, project):
    require_descent(project, stage)
    flip(Path(name))
    with pytest.raises(UnblurError, match=rf"^{re.escape(name)}: was changed since `unblur [a-z-]+` wrote it"):
        require_descent(project, stage)


def test_a_curve_of_another_training_is_told(project, tmp_path):
    write_training(Training(), [Step(4, 0.5, 24.5)], tmp_path / "other")
    shutil.copy(tmp_path / "other" / "history.csv", "artifacts/train/history.csv")
    with pytest.raises(UnblurError, match=r"artifacts/train/history\.csv: was changed since `unblur train` wrote it"):
        read_history(Path("artifacts/train/history.csv"))


def test_the_gates_record(tmp_path):
    subject = Subject("unblur", 3, "a" * 64, None, None, "0" * 32, "0" * 64, {})
    rule = RuleResult("min_psnr", 31.25, 25.0, "dB", passed=True, note="")
    path = write_record(GateRecord(subject, True, [rule], 6), tmp_path)
    assert read_record(path).results[0].figure == 31.25
    path.write_text(path.read_text().replace("31.25", "31.26"))
    with pytest.raises(UnblurError, match=r"gate\.json: was changed since `unblur gate` wrote it"):
        read_record(path)


def test_what_an_older_version_wrote_is_read_as_before(project):
    """Markers without SHA-256s, and records without a seal."""
    for marker in Path().rglob(MARKER):
        content = json.loads(marker.read_text())
        del content["records"]
        marker.write_text(json.dumps(content))
    for name in ("artifacts/train/run.json", "reports/data.json"):
        content = json.loads(Path(name).read_text())
        del content["sealed"]
        Path(name).write_text(json.dumps(content))
    for name, (_, read) in READERS.items():
        before = read(Path(name))
        flip(Path(name))
        assert read(Path(name)) != before
    require_descent(project, "report")


def test_a_record_without_an_entry_and_one_that_is_gone_say_nothing(project):
    folder = Path(project.evaluate)
    write_evaluation(replace(EVALUATION, pairs=5), folder / "by_hand")
    assert read_evaluation(folder / "by_hand").pairs == 5
    (folder / "per_image.csv").unlink()
    require_descent(project, "report")


def test_the_same_records_give_the_same_marker(tmp_path):
    markers = []
    for name in "ab":
        with owned_folder(tmp_path / name, "evaluate", {}) as new:
            write_evaluation(EVALUATION, new)
            (new / "weights.safetensors").write_bytes(b"weights")
        markers.append((tmp_path / name / MARKER).read_bytes())
    assert markers[0] == markers[1]
    assert read_marker(tmp_path / "a").records.keys() == {"metrics.json"}


def test_fidelity_is_read_of_its_folder(project):
    assert read_fidelity(Path(project.explain)) == []
    (Path(project.explain) / FIDELITY).write_text("")
    with pytest.raises(UnblurError, match=r"fidelity\.csv: was changed since `unblur explain-pairs` wrote it"):
        read_fidelity(Path(project.explain))
