"""Whole trainings in processes of their own: reproducible, resumed after a kill, distributed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file

from unblur.config.compose import checked, compose
from unblur.errors import UnblurError
from unblur.training.fit import fit
from unblur.training.weights import read_model_config

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]


def record(project, folder="artifacts/train"):
    return json.loads((project / folder / "run.json").read_text())


def test_the_same_configuration_gives_the_same_weights_and_another_seed_others(project, run_stage, tiny):
    for folder, seed, workers in (("one", 1, 0), ("two", 1, 2), ("three", 2, 0)):
        run_stage("train", *tiny, f"seed={seed}", f"data.num_workers={workers}", f"paths.train={folder}", "logger=none")
    one, two, three = (record(project, folder) for folder in ("one", "two", "three"))
    assert one["model_sha256"] == two["model_sha256"]  # nor does the number of workers matter
    assert one["model_sha256"] != three["model_sha256"]
    assert one["steps"] == 8


def test_mlflow_has_configuration_origin_curves_load_and_panels(project, run_stage, tiny):
    run_stage("train", *tiny)
    found = record(project)
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    run = client.get_run(found["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["model/width"] == "8"
    assert {"git_sha", "git_dirty", "data_md5", "config_hash", "system.cpu", "system.torch"} <= set(run.data.tags)
    assert {"val/psnr", "val/gain", "train/loss"} <= set(run.data.metrics)
    assert len(client.get_metric_history(run.info.run_id, "val/psnr")) == 2
    artifacts = [item.path for item in client.list_artifacts(run.info.run_id)]
    assert "config.yaml" in artifacts
    assert any("panel" in item.path for item in client.list_artifacts(run.info.run_id, "images"))
    rows = list(csv.DictReader((project / "artifacts/train/history.csv").open()))
    assert [row["step"] for row in rows] == ["4", "8"]
    assert float(rows[-1]["val_psnr"]) == pytest.approx(found["val_psnr"])
    assert not (project / "checkpoints").exists() or not list((project / "checkpoints").iterdir())


def test_a_killed_training_goes_on_by_itself_and_ends_with_the_same_weights(project, run_stage, tiny):
    long = (*tiny, "trainer.max_epochs=30", "data.steps_per_epoch=20", "trainer.check_val_every_n_epoch=10")
    process = subprocess.Popen(
        [sys.executable, "-m", "unblur.stages.train", *long], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not list((project / "checkpoints").glob("*/last.ckpt")):
            assert process.poll() is None, "the training ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint appeared"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert not (project / "artifacts/train/model").exists()
    interrupted = next((project / "checkpoints").glob("*/mlflow_run_id")).read_text()
    run_stage("train", *long)
    resumed = record(project)
    assert resumed["resumed"]
    assert resumed["steps"] == 600
    assert resumed["run_id"] == interrupted
    run_stage("train", *long, "paths.train=straight", "logger=none")
    straight = record(project, "straight")
    assert not straight["resumed"]
    assert resumed["model_sha256"] == straight["model_sha256"]
    assert (project / "artifacts/train/history.csv").read_text() == (project / "straight/history.csv").read_text()


def started(project, *arguments, checkpoints=1):
    """A training in a process of its own that has written this many checkpoints; (process, folder of checkpoints)."""
    command = [sys.executable, "-m", "unblur.stages.train", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    name = "last.ckpt" if checkpoints == 1 else "previous.ckpt"
    deadline = time.monotonic() + 240
    while not (found := list((project / "checkpoints").glob(f"*/{name}"))):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.02)
    return process, found[0].parent


def test_a_stopped_training_says_so_and_goes_on_although_its_last_checkpoint_is_cut(project, run_stage, tiny):
    long = (*tiny, "trainer.max_epochs=60", "data.steps_per_epoch=4", "trainer.check_val_every_n_epoch=60")
    process, folder = started(project, *long, checkpoints=2)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 143, said
    assert said.strip().splitlines()[-1] == "error: stopped by SIGTERM; run the same command again to go on"
    assert not (project / "artifacts/train/model").exists()
    last = folder / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    MlflowClient(f"sqlite:///{project / 'mlflow.db'}").delete_run((folder / "mlflow_run_id").read_text())
    done = run_stage("train", *long)
    assert f"{last.relative_to(project)}: is damaged" in done.stderr
    assert record(project)["resumed"]
    assert record(project)["steps"] == 240


def test_a_process_that_dies_ends_the_others_with_one_line(project, tiny):
    process, _ = started(project, *tiny, "trainer.max_epochs=1000", "trainer=ddp_cpu", "logger=none")
    (other,) = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(other), signal.SIGKILL)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert "error: another process of this training has ended" in said
    assert "unexpected" not in said


def test_a_folder_that_cannot_be_written_is_told_before_the_training(project, tiny):
    (project / "taken").write_text("a file")
    command = [sys.executable, "-m", "unblur.stages.train", *tiny, "logger=none", "paths.train=taken"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: taken: is there already")
    assert not (project / "checkpoints").exists()


def test_another_configuration_does_not_resume(project, run_stage, tiny):
    run_stage("train", *tiny, "logger=none")
    folder = project / "checkpoints" / "0000000000000000"
    folder.mkdir(parents=True)
    (folder / "last.ckpt").write_bytes(b"of another configuration")
    run_stage("train", *tiny, "logger=none", "seed=5")
    assert not record(project)["resumed"]


def test_two_processes_over_gloo(project, run_stage, tiny):
    done = run_stage("train", *tiny, "trainer=ddp_cpu", "logger=none")
    found = record(project)
    assert found["steps"] == 8
    assert done.stdout.count("Trained") == 1
    assert [path.name for path in (project / "artifacts/train/model").iterdir()]


def test_torchrun(project, tiny):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
         "-m", "unblur", "train", *tiny, "trainer=ddp_cpu", "logger=none"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert record(project)["steps"] == 8


def test_multirun_keeps_the_jobs_apart(project, run_stage, tiny):
    run_stage("train", "-m", *tiny, "logger=none", "seed=1,2", "hydra.sweep.dir=sweep")
    weights = {json.loads(path.read_text())["model_sha256"] for path in project.glob("sweep/*/train/run.json")}
    assert len(weights) == 2


def test_multirun_refuses_distributed_training(project, tiny):
    command = [sys.executable, "-m", "unblur.stages.train", "-m", *tiny, "trainer=ddp_cpu", "seed=1,2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "trainer=cpu" in done.stderr


def test_without_prepared_pairs_it_says_what_to_run(project, tiny):
    (project / "artifacts/prepared/manifest.csv").unlink(missing_ok=True)
    with pytest.raises(UnblurError, match=r"manifest\.csv: there is no manifest of pairs; run `unblur prepare`"):
        fit(checked(compose(list(tiny))))


def test_a_model_of_ones_own_is_not_trained_over(project, tiny):
    own = project / "own"
    (own / "model").mkdir(parents=True)
    (own / "model" / "model.safetensors").write_bytes(b"mine")
    cfg = checked(compose([*tiny, "paths.train=own"]))
    with pytest.raises(UnblurError, match=r"own/model: holds model\.safetensors and no"):
        fit(cfg)
    (own / "model" / "model.safetensors").rename(own / "run.json")
    with pytest.raises(UnblurError, match=r"run\.json: is there already"):
        fit(cfg)
    assert (own / "run.json").read_bytes() == b"mine"


def test_a_training_goes_on_from_a_given_model_and_says_so(project, run_stage, tiny):
    run_stage("train", *tiny, "paths.train=first", "logger=none")
    first = record(project, "first")
    given = ("train.init=first/model", "train.teacher=first/model", "logger=none")
    run_stage("train", *tiny, *given, "optimizer.lr=0.0", "paths.train=second")
    second = record(project, "second")
    assert second["model_sha256"] == first["model_sha256"]  # nothing was learnt, so it is the given model
    assert second["init_sha256"] == second["teacher_sha256"] == first["model_sha256"]
    assert first["init_sha256"] is None
    run_stage("train", *tiny, *given, "paths.train=third")
    third = record(project, "third")
    assert third["model_sha256"] != first["model_sha256"]
    assert third["config_hash"] != first["config_hash"]


def test_a_given_model_of_another_kind_is_refused(project, run_stage, tiny):
    run_stage("train", *tiny, "paths.train=first", "logger=none")
    cfg = checked(compose([*tiny, "train.init=first/model", "model=resunet_tiny", "logger=none"]))
    with pytest.raises(UnblurError, match=r"train\.init=first/model is a .*NAFNet, but model is a .*ResUNet"):
        fit(cfg)


def test_what_is_saved_is_the_mean_with_the_given_weights(project, run_stage, tiny):
    run_stage("train", *tiny, "paths.train=first", "logger=none")
    weights = {"first": load_file(project / "first/model/model.safetensors")}
    for share in (0.0, 0.5, 1.0):
        given = ("train.init=first/model", f"train.init_share={share}", "logger=none")
        run_stage("train", *tiny, *given, f"paths.train=share{share}")
        weights[share] = load_file(project / f"share{share}/model/model.safetensors")
    assert any((weights[0.0][name] != tensor).any() for name, tensor in weights["first"].items())
    for name, tensor in weights["first"].items():
        assert torch.equal(weights[1.0][name], tensor)
        torch.testing.assert_close(weights[0.5][name], (tensor + weights[0.0][name]) / 2)


def test_a_given_model_takes_the_parts_that_begin_at_zero(project, run_stage, tiny):
    """MAXIM at a lower resolution has the published weights and two layers more."""
    small = ("data.patch_size=64", "logger=none", "optimizer.lr=0.0")
    run_stage("train", *tiny, "model=maxim_tiny", *small, "paths.train=first")
    run_stage("train", *tiny, "model=maxim_half_tiny", *small, "train.init=first/model", "paths.train=second")
    first, second = (load_file(project / folder / "model/model.safetensors") for folder in ("first", "second"))
    assert {name.split(".")[0] for name in second.keys() - first.keys()} == {"detail_in", "detail_out"}
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())
    assert read_model_config(project / "second/model")["reduction"] == 2
    run_stage("train", *tiny, "model=maxim_stage1", *small, "train.init=first/model", "paths.train=third")
    assert read_model_config(project / "third/model")["width"] == 8  # of other sizes: the network that it is
