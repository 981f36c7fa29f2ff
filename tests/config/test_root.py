"""The project's root, from wherever a command is started."""

import subprocess
import sys

import pytest
import yaml

from unblur.config.compose import compose, to_yaml
from unblur.config.root import OUTSIDE, project_root, require_inside
from unblur.config.schema import PathsConfig
from unblur.config.tracking import tracking_uri
from unblur.errors import UsageError


def test_nearest_folder_with_a_pipeline(tmp_path, monkeypatch):
    monkeypatch.delenv("UNBLUR_ROOT", raising=False)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert project_root() == tmp_path


def test_an_experiments_temporary_folder_belongs_to_the_outer_project(tmp_path, monkeypatch):
    monkeypatch.delenv("UNBLUR_ROOT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "dvc.yaml").touch()
    inner = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    for folder in (tmp_path / ".dvc" / "tmp" / "exps" / "tmp0", inner):
        folder.mkdir(parents=True)
        (folder / "dvc.yaml").touch()
        monkeypatch.chdir(folder)
        assert project_root() == tmp_path
        assert tracking_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_environment_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert project_root() == tmp_path
    assert tracking_uri() == "http://127.0.0.1:5000"


def test_paths_lead_out_of_the_project_only_if_that_is_asked_for(tmp_path, monkeypatch):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "below").mkdir(parents=True)
    elsewhere.mkdir()
    (project / "dvc.yaml").touch()
    (project / "data").symlink_to(elsewhere)  # made by whoever made the project
    monkeypatch.delenv("UNBLUR_ROOT", raising=False)
    monkeypatch.chdir(project / "below")
    require_inside(PathsConfig())
    require_inside(PathsConfig(data="../data", train=str(project / "train")))
    for wanted in (str(elsewhere), "../../elsewhere", "../train/../../elsewhere", str(tmp_path)):
        with pytest.raises(UsageError, match=f"paths.train={wanted}: leads out of the project {project}; .*--outside"):
            require_inside(PathsConfig(train=wanted))
    monkeypatch.setenv(OUTSIDE, "1")
    require_inside(PathsConfig(train=str(elsewhere)))


@pytest.mark.pipeline
def test_a_configuration_of_a_stranger_cannot_ask_for_it(project, tmp_path):
    loot = tmp_path / "loot"
    command = [sys.executable, "-m", "unblur.stages.prepare", f"paths.prepared={loot}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"error: paths.prepared={loot}: leads out of the project" in done.stderr
    assert not loot.exists()
    text = yaml.safe_dump(
        {**yaml.safe_load(to_yaml(compose(["experiment=smoke"]))), "paths": {"outside": True, "prepared": str(loot)}}
    )
    (project / "stranger.yaml").write_text(text)
    done = subprocess.run([*command[:3], "--config", "stranger.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, loot.exists()) == (2, False)
    done = subprocess.run([*command, "--outside"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (loot / "manifest.csv").is_file()
