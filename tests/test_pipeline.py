"""The whole pipeline for real, on the smoke preset: DVC, MLflow's registry, the gate, and a photograph restored."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = ("--config", "artifacts/config/pipeline.yaml")
STAGES = tuple(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"])


class Project:
    """A git and DVC project of its own with the repository's code, configuration and pipeline."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(root / "src"),
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
        }
        for name in ("MLFLOW_TRACKING_URI", "UNBLUR_ROOT"):
            self.environment.pop(name, None)

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True)
        output = done.stdout + done.stderr
        assert done.returncode == code, f"{command}: {done.returncode}\n{output}"
        return output

    def overrides(self, *overrides: str) -> None:
        lines = "".join(f"  - {json.dumps(item)}\n" for item in overrides)
        (self.root / "params.yaml").write_text(f"overrides:\n{lines}")

    def ran(self, output: str) -> list[str]:
        return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, prepared_project, tiny) -> Project:
    """The project after its first `dvc repro`."""
    project = Project(tmp_path_factory.mktemp("pipeline") / "project")
    ignore = shutil.ignore_patterns("__pycache__", "local")
    for folder in ("src", "conf"):
        shutil.copytree(REPOSITORY / folder, project.root / folder, ignore=ignore)
    for file in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / file, project.root / file)
    shutil.copytree(prepared_project / "data", project.root / "data")
    project.overrides(*tiny)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    project.run("dvc", "add", "data")
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "data")
    output = project.run("dvc", "repro")
    assert project.ran(output) == list(STAGES)
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "results")
    return project


def test_again_nothing_is_computed(reproduced):
    assert "Data and pipelines are up to date." in reproduced.run("dvc", "repro")
    output = reproduced.run("dvc", "repro", "--dry", "--allow-missing")
    assert reproduced.ran(output) == []


def test_everything_that_was_promised_is_there(reproduced):
    for file in (
        "artifacts/train/model/model.safetensors",
        "artifacts/evaluate/per_image.csv",
        "artifacts/prune/model/model.safetensors",
        "artifacts/quantize/quantize.json",
        "artifacts/export/trained/model.onnx",
        "artifacts/export/trained/model.pt2",
        "artifacts/export/pruned/model.onnx",
        "artifacts/export/pruned_int8/model.onnx",
        "artifacts/benchmark/chosen.json",
        "artifacts/benchmark/latency.csv",
        "reports/data.json",
        "reports/metrics.json",
        "reports/report.html",
    ):
        assert (reproduced.root / file).stat().st_size > 0, file


def test_an_edit_of_the_trainer_does_not_make_data_again(reproduced, tiny):
    reproduced.overrides(*tiny, "trainer.max_epochs=1")
    output = reproduced.run("dvc", "repro", "train")
    assert reproduced.ran(output) == ["compose", "train"]
    reproduced.overrides(*tiny)
    output = reproduced.run("dvc", "repro", "train")  # back again: out of the run cache
    assert "Stage 'train' is cached" in output
    reproduced.run("git", "diff", "--exit-code", "dvc.lock")


def test_an_edit_of_conf_is_never_missed(reproduced):
    recipe = reproduced.root / "conf" / "blur" / "starter.yaml"
    before = recipe.read_text()
    recipe.write_text(before.replace("max_extent: 10.0", "max_extent: 9.0"))
    assert recipe.read_text() != before
    assert reproduced.ran(reproduced.run("dvc", "repro", "prepare")) == ["compose", "prepare"]
    recipe.write_text(before)
    reproduced.run("dvc", "repro", "prepare")
    reproduced.run("git", "diff", "--exit-code", "dvc.lock")


def test_an_edit_of_the_code_runs_what_can_reach_it(reproduced):
    package = reproduced.root / "src" / "unblur"
    network, template = package / "networks" / "nafnet.py", package / "reporting" / "report.html.j2"
    before = network.read_text(), template.read_text()
    network.write_text(f"{before[0]}\n# A comment.\n")
    assert "nothing is stale" in reproduced.run("unblur", "why")
    assert reproduced.ran(reproduced.run("dvc", "repro")) == ["compose"]

    template.write_text(f"{before[1]}<!-- edited -->\n")
    told = reproduced.run("unblur", "why")
    assert "module reporting/report.html.j2: changed" in told
    assert "train" not in told
    reproduced.run("dvc", "repro", "compose")
    status = json.loads(reproduced.run("dvc", "status", "--json"))
    code = "artifacts/config/code/report.json"
    assert status == {"report": [{"changed deps": {code: {"reporting/report.html.j2": "modified"}}}]}
    assert "reporting/report.html.j2" in reproduced.run("dvc", "params", "diff")
    assert reproduced.ran(reproduced.run("dvc", "repro")) == ["report"]

    network.write_text(before[0])
    template.write_text(before[1])
    output = reproduced.run("dvc", "repro", "train")  # back again: out of the run cache
    assert "Stage 'compose' is cached" in output
    assert not reproduced.ran(output)
    reproduced.run("dvc", "repro")


def test_metrics_plots_and_experiments(reproduced, tiny):
    metrics = json.loads(reproduced.run("dvc", "metrics", "show", "--json"))
    assert "psnr" in json.dumps(metrics)
    path = reproduced.root / "reports" / "metrics.json"
    before = path.read_text()
    changed = json.loads(before)
    key = next(name for name, value in changed.items() if isinstance(value, float))
    changed[key] += 1.0
    path.write_text(json.dumps(changed))
    assert key in reproduced.run("dvc", "metrics", "diff")
    path.write_text(before)
    assert "index.html" in reproduced.run("dvc", "plots", "show")
    overrides = json.dumps([*tiny, "data.pairs_per_photo.test=3"])
    reproduced.run("dvc", "exp", "run", "-n", "more-pairs", "-S", f"overrides={overrides}", "prepare")
    assert "more-pairs" in reproduced.run("dvc", "exp", "list")
    rows = (reproduced.root / "artifacts/prepared/manifest.csv").read_text().splitlines()
    assert sum(",test," in row for row in rows) == 3
    reproduced.run("git", "checkout", "-q", "--", ".")
    reproduced.run("dvc", "checkout", "-q")


def test_register_gate_promote_restore(reproduced):
    refused = reproduced.run("unblur", "promote", code=1)
    assert refused.startswith("error: ")
    reproduced.run("unblur", "register", *CONFIG)
    refused = reproduced.run("unblur", "gate", *CONFIG, "gate.min_psnr=99", code=3)
    assert "min_psnr" in refused
    assert "Traceback" not in refused
    reproduced.run("unblur", "promote", code=3)  # not what was refused
    reproduced.run("unblur", "gate", *CONFIG)
    reproduced.run("unblur", "promote", "--expect-champion", "none", "--why", "test")
    for command in (("register", *CONFIG), ("gate", *CONFIG), ("promote",)):
        reproduced.run("unblur", *command)  # nothing to do, and no error
    summary = reproduced.run("unblur", "summary", *CONFIG)
    assert "champion" in summary
    assert "version 1" in summary.lower() or "v1" in summary.lower()

    photo = reproduced.root / "photo.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(photo)
    reproduced.run("unblur", "restore", "photo.png", "restored.png")
    restored = np.asarray(Image.open(reproduced.root / "restored.png"))
    assert restored.shape == (40, 56, 3)
    assert not np.array_equal(restored, np.asarray(Image.open(photo)))


def test_retraining_ends_with_nothing_to_do_or_with_a_proposal(reproduced, tmp_path):
    missing = reproduced.run("unblur", "retrain", code=1)
    assert "MLFLOW_TRACKING_URI is not set" in missing
    assert "## Retraining: nothing to do" in reproduced.run("unblur", "retrain", "--local")
    reproduced.run("git", "diff", "--exit-code", "HEAD")

    for folder in ("origin", "store"):
        (tmp_path / folder).mkdir()
    reproduced.run("git", "init", "-q", "--bare", str(tmp_path / "origin"))
    reproduced.run("git", "remote", "add", "origin", str(tmp_path / "origin"))
    reproduced.run("dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    reproduced.environment |= {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    said = reproduced.run("unblur", "retrain", "--local", "--propose", "--seed", "5")
    assert reproduced.ran(said)[:2] == ["compose", "train"]
    told = dict(line.split("=", 1) for line in (tmp_path / "GITHUB_OUTPUT").read_text().splitlines())
    assert (told["result"], told["version"], told["champion"]) == ("candidate", "unblur v2", "1")
    summary = (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    for part in ("a seed that was asked for: 5", "unblur v2 is the candidate", "- min_psnr: passed", "psnr"):
        assert part in summary
    (branch,) = re.findall(r"retrain/[0-9a-f]{12}", reproduced.run("git", "ls-remote", "origin"))
    assert branch in summary
    assert branch == told["branch"]
    assert "seed=5" in reproduced.run("git", "--git-dir", str(tmp_path / "origin"), "show", f"{branch}:params.yaml")
    lock = reproduced.run("git", "--git-dir", str(tmp_path / "origin"), "show", f"{branch}:dvc.lock")
    md5 = re.findall(r"path: artifacts/benchmark\n.*?md5: (\w+)\.dir", lock, re.DOTALL)[-1]
    assert (tmp_path / "store/files/md5" / md5[:2] / f"{md5[2:]}.dir").is_file()  # others can fetch it
