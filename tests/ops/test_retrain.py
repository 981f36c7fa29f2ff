"""ops/retrain.sh for real on a tiny project without a remote: DVC, a registry, the gate; one run after the other."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
FAST = (
    "trainer.max_epochs=1",
    "prune.target=null",
    "quantize.kinds=[]",
    "export.formats=[onnx]",
    "export.sizes=[[1,32,32]]",
    "benchmark.rounds=1",
    "gate.max_latency_ms=null",
)


class Project:
    """A git and DVC project of its own, and what its last retraining has said and reported."""

    def __init__(self, root: Path) -> None:
        self.root, self.said, self.report = root, "", ""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        who = {f"GIT_{role}_{key}": "a@b" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        self.environment = {**os.environ, **who, "PATH": path, "PYTHONPATH": str(root / "src")}
        for name in ("MLFLOW_TRACKING_URI", "UNBLUR_ROOT"):
            self.environment.pop(name, None)

    def shell(self, *lines: str) -> None:
        for line in lines:
            subprocess.run(line, shell=True, cwd=self.root, env=self.environment, check=True, capture_output=True)

    def retrain(self, code: int, *options: str) -> list[str]:
        """Run the script, which has to end with `code`, and return the stages of the pipeline that have run."""
        done = subprocess.run(
            ["ops/retrain.sh", *options],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        self.said = done.stdout
        self.report = (self.root / "artifacts/retrain/report.md").read_text()
        assert self.report.startswith("<!-- unblur retrain -->\n## Retraining: ")
        return re.findall(r"Running stage '(\w+)'", done.stdout)

    def overrides(self, *overrides: str) -> None:
        (self.root / "params.yaml").write_text(yaml.safe_dump({"overrides": list(overrides)}))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prepared_project: Path, tiny: tuple[str, ...]) -> Project:
    made = Project(tmp_path_factory.mktemp("retrain") / "project")
    for folder in ("src", "conf", "ops"):
        shutil.copytree(ROOT / folder, made.root / folder, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for file in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / file, made.root / file)
    shutil.copytree(prepared_project / "data", made.root / "data")
    made.overrides(*tiny, *FAST)
    made.shell("git init -q", "dvc init -q", "dvc add data", "git add -A", "git commit -qm data")
    return made


def test_the_first_run_trains_registers_and_asks_a_person(project: Project) -> None:
    stages = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    assert project.retrain(0) == stages
    assert project.said.splitlines()[-1] == "retrain: candidate (exit code 0)"
    assert "pull: skipped, as there is no DVC remote" in project.said
    for told in (
        "unblur v1 is the candidate",
        "| all | 4 |",
        "`unblur promote --expect-champion none`",
        "| reports/metrics.json | psnr_model",
        "| train | ",
    ):
        assert told in project.report
    pictures = re.findall(r"!\[.*\]\((.*)\)", project.report)
    assert len(pictures) == 3
    assert all((project.root / "artifacts/retrain" / each).read_bytes()[:4] == b"\x89PNG" for each in pictures)
    assert aliases(project) == {"candidate": 1, "challenger": 1}


def test_while_the_candidate_waits_the_second_has_nothing_to_do_also_for_drift(project: Project) -> None:
    project.shell("git add -A", "git commit -qm results")
    assert project.retrain(0, "--because", "drift: of the light") == []
    assert "- drift: of the light" in project.report
    assert project.said.splitlines()[-1] == "retrain: nothing to do, unblur v1 waits (exit code 0)"
    assert aliases(project) == {"candidate": 1, "challenger": 1}


def test_what_a_run_that_was_cut_off_has_trained_is_judged_by_the_next(project: Project) -> None:
    for store in ("mlflow.db", "mlartifacts"):
        path = project.root / store
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert project.retrain(0) == []
    assert "the model of dvc.lock was not judged by the gate yet" in project.report
    assert aliases(project) == {"candidate": 1, "challenger": 1}


def test_a_stage_that_fails_is_named_with_what_it_said(project: Project) -> None:
    photo = project.root / "data/photos/a.png"
    before = photo.read_bytes()
    photo.write_bytes(b"no picture")
    assert project.retrain(1) == ["check_data"]
    photo.write_bytes(before)
    assert "## Retraining: failed" in project.report
    assert "- the stage check_data has failed: " in project.report
    assert "a.png" in project.report
    assert project.said.splitlines()[-1] == "retrain: failed in the step 'retrain' (exit code 1)"


def test_new_data_trains_again_and_what_the_gate_refuses_ends_with_3(project: Project, tiny: tuple[str, ...]) -> None:
    project.overrides(*tiny, *FAST, "gate.min_psnr=99")
    listed = project.root / "data/SOURCES.json"
    records: list[dict[str, Any]] = json.loads(listed.read_text())
    (project.root / "data/photos/b.png").unlink()
    listed.write_text(json.dumps([each for each in records if each["file"] != "photos/b.png"]))
    project.shell("dvc add data")
    assert project.retrain(3)[:4] == ["compose", "check_data", "prepare", "train"]
    assert project.said.splitlines()[-1] == "retrain: refused (exit code 3)"
    assert "- new data: data" in project.report
    assert "photos/b.png" in project.report  # what `unblur data diff` tells
    assert "min_psnr" in project.report
    assert "Promotion" not in project.report
    assert aliases(project) == {"candidate": 2, "challenger": 1}


def aliases(project: Project) -> dict[str, int]:
    program = (
        "import json; from unblur.config.tracking import tracking_client as client;"
        "from unblur.registry.versions import read_aliases; print(json.dumps(read_aliases(client(), 'unblur')))"
    )
    command, environment = [sys.executable, "-c", program], project.environment
    done = subprocess.run(command, cwd=project.root, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found
