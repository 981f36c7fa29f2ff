"""A real MLflow store whose folder is moved."""

import sqlite3

import mlflow
import pytest

from unblur.config.moved_store import follow_move
from unblur.config.tracking import ensure_experiment, is_active, tracking_client


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A project folder with an experiment, a run and an artifact; (folder, run id)."""
    root = tmp_path / "be fore"
    root.mkdir()
    monkeypatch.setenv("UNBLUR_ROOT", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = tracking_client()
    run = client.create_run(ensure_experiment(client, "unblur"))
    client.log_text(run.info.run_id, "what was kept", "note.txt")
    return root, run.info.run_id


def test_artifacts_are_found_after_a_move(store, tmp_path, monkeypatch):
    root, run = store
    moved = tmp_path / "after"
    root.rename(moved)
    monkeypatch.setenv("UNBLUR_ROOT", str(moved))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # MLflow has set it: a new process has not
    client = tracking_client()
    assert mlflow.artifacts.load_text(client.get_run(run).info.artifact_uri + "/note.txt") == "what was kept"
    client.log_text(client.create_run(ensure_experiment(client, "unblur")).info.run_id, "new", "note.txt")
    assert not root.exists()


def test_addresses_that_somebody_chose_stay(store, tmp_path):
    root, run = store
    client = tracking_client()
    client.create_experiment("elsewhere", artifact_location=(tmp_path / "disk").as_uri())
    before = client.get_run(run).info.artifact_uri
    follow_move(root)
    assert client.get_run(run).info.artifact_uri == before
    assert client.get_experiment_by_name("elsewhere").artifact_location == (tmp_path / "disk").as_uri()


def test_without_artifacts_or_tables_nothing_is_touched(tmp_path):
    follow_move(tmp_path)
    (tmp_path / "mlartifacts").mkdir()
    with sqlite3.connect(tmp_path / "mlflow.db") as made:
        made.execute("CREATE TABLE experiments (name TEXT)")
    follow_move(tmp_path)


def test_a_deleted_experiment_is_restored_and_a_deleted_run_is_not_active(store, caplog):
    client = tracking_client()
    number = client.get_experiment_by_name("unblur").experiment_id
    assert is_active(client, store[1])
    client.delete_run(store[1])
    assert not is_active(client, store[1])
    assert not is_active(client, "0" * 32)
    client.delete_experiment(number)
    assert ensure_experiment(client, "unblur") == number
    assert client.get_experiment(number).lifecycle_stage == "active"
    assert "was deleted: restored" in caplog.text
