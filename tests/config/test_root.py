"""The project's root, from wherever a command is started."""

from unblur.config.root import project_root
from unblur.config.tracking import tracking_uri


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
