"""A training whose MLflow server goes away, or never comes: it goes on, tells once, and loses no metric."""

import json
import signal
import socket
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def train(*overrides):
    command = [sys.executable, "-m", "unblur.stages.train", *overrides]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def sync():
    return subprocess.run([sys.executable, "-m", "unblur.commands.sync_metrics"], capture_output=True, text=True)


def test_without_a_server_from_the_start(project, tiny, port, tmp_path, monkeypatch, mlflow_server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:hunter22@127.0.0.1:{port}")
    process = train(*tiny)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert said.count("the store, or where it keeps its files, does not answer") == 1
    assert "unblur sync-metrics" in said
    record = json.loads((project / "artifacts/train/run.json").read_text())
    assert record["run_id"] is None
    journals = list((project / "unsent").glob("*/journal.jsonl"))
    assert len(journals) == 1

    done = sync()
    assert done.returncode == 1
    assert "the store, or where it keeps its files, does not answer" in done.stderr
    assert journals[0].is_file()
    with mlflow_server(tmp_path, port):
        done = sync()
        assert done.returncode == 0, done.stderr
        assert "nothing waits" in sync().stdout
        client = MlflowClient(f"http://127.0.0.1:{port}")
        (run,) = client.search_runs([client.get_experiment_by_name("unblur").experiment_id])
        assert run.info.status == "FINISHED"
        assert run.data.params["model/width"] == "8"
        assert run.data.tags["config_hash"] == record["config_hash"]
        curve = client.get_metric_history(run.info.run_id, "val/psnr")
        assert [point.step for point in curve] == [3, 7]
        assert curve[-1].value == pytest.approx(record["val_psnr"])
        assert {"train/loss", "system/cpu_utilization_percentage"} <= set(run.data.metrics)
        files = [item.path for item in client.list_artifacts(run.info.run_id)]
        assert "config.yaml" in files
        assert any("panel" in item.path for item in client.list_artifacts(run.info.run_id, "images"))
    assert not list((project / "unsent").iterdir())


def test_a_server_that_dies_in_the_middle_and_returns(project, tiny, port, tmp_path, monkeypatch, mlflow_server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    long = (*tiny, "trainer.max_epochs=8", "data.steps_per_epoch=20", "trainer.log_every_n_steps=5")
    with mlflow_server(tmp_path, port) as (_, kill):
        process = train(*long)
        deadline = time.monotonic() + 120
        while not list((project / "checkpoints").glob("*/last.ckpt")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        kill()
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert said.count("the store, or where it keeps its files, does not answer") == 1
    record = json.loads((project / "artifacts/train/run.json").read_text())
    with mlflow_server(tmp_path, port):
        assert f"sent to run {record['run_id']}" in " ".join(sync().stdout.split())
        client = MlflowClient(f"http://127.0.0.1:{port}")
        (run,) = client.search_runs([client.get_experiment_by_name("unblur").experiment_id])
        assert run.info.run_id == record["run_id"]
        assert run.info.status == "FINISHED"
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "val/psnr")]
        assert steps == [20 * epoch - 1 for epoch in range(1, 9)]  # each once, from before and after


@pytest.mark.services
@pytest.mark.parametrize("part", ["mlflow", "postgresql", "objects"])
def test_one_of_the_services_is_away_for_a_while(project, tiny, on_stack, part):
    """The server, its database or its object store: the training goes on, and sends at its end what it has kept."""
    name = f"without-{part}"
    long = (*tiny, f"registry.experiment={name}", "trainer.max_epochs=6", "data.steps_per_epoch=20")
    process = train(*long)

    def wait_for(pattern):
        deadline = time.monotonic() + 120
        while not list(project.glob(pattern)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    wait_for("checkpoints/*/last.ckpt")
    on_stack.call("stop", part)
    try:
        wait_for("unsent/*/journal.jsonl")
        process.send_signal(signal.SIGSTOP)  # so that it has not ended before the service is back
    finally:
        on_stack.call("start", part)
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert said.count("training goes on") == 1
    assert not list((project / "unsent").iterdir())
    assert "nothing waits" in sync().stdout
    record = json.loads((project / "artifacts/train/run.json").read_text())
    client = MlflowClient(on_stack.environment["MLFLOW_TRACKING_URI"])
    (run,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    assert run.info.run_id == record["run_id"]
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "val/psnr")
    assert [point.step for point in history] == [20 * epoch - 1 for epoch in range(1, 7)]  # each once
    assert history[-1].value == pytest.approx(record["val_psnr"])
