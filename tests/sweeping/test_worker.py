"""Whole sweeps of tiny trainings in processes of their own: at once, killed, stopped, ended early, and gone on with."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from mlflow import MlflowClient
from optuna.trial import TrialState

from unblur.safety.owned import claim_folder
from unblur.sweeping.space import read_space
from unblur.sweeping.study import open_study, storage_address, turn

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

FOLDER = "artifacts/sweeps/tiny"


def swept(file, *arguments, code=0):
    """Run `unblur sweep`; what it has said."""
    command = [sys.executable, "-m", "unblur", "sweep", str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def rows(project, folder=FOLDER):
    return list(csv.DictReader((project / folder / "results.csv").open()))


def study_of(file):
    space = read_space(file)
    claim_folder(space.folder, "sweep")
    address = storage_address(space)
    return open_study(space, address, turn(address))


def started(file, number, *arguments):
    """A sweep whose trial of this number has written a checkpoint."""
    command = [sys.executable, "-m", "unblur", "sweep", str(file), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    folder = file.parent / "project" / FOLDER / "trials" / f"{number:04}"
    deadline = time.monotonic() + 240
    while not list(folder.glob("checkpoints/*/last.ckpt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.05)
    (trial,) = [each for each in psutil.Process(process.pid).children() if is_trial(each)]
    return process, trial


def is_trial(process):
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # has just ended, as `git` does
        return False


LONG = ["data.steps_per_epoch=20", "trainer.max_epochs=15", "trainer.check_val_every_n_epoch=5"]


def test_two_workers_do_each_trial_once_on_validation_pairs_alone_under_one_run(project, space_file, tiny):
    shutil.rmtree(project / "data/photos/d.png", ignore_errors=True)
    for path in (project / "artifacts/prepared").glob("test/**/*.png"):
        path.write_bytes(b"nobody may read this")
    assert any((project / "artifacts/prepared").glob("test/**/*.png"))
    objectives = {"val/psnr": "maximize", "latency_ms": "minimize", "size_mb": "minimize"}
    space = {
        "model": {"choices": ["nafnet_tiny", "resunet_tiny"]},
        "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    }
    file = space_file(trials=3, objectives=objectives, overrides=list(tiny), space=space)
    done = swept(file, "--workers", "2", "train.init_share=0.0")
    found = rows(project)
    assert [row["trial"] for row in found] == ["0", "1", "2"]
    assert {row["state"] for row in found} == {"done"}
    assert sorted(line[:7] for line in done.stdout.splitlines() if line.startswith("trial ")) == [
        "trial 0",
        "trial 1",
        "trial 2",
    ]
    for row in found:
        folder = project / FOLDER / "trials" / f"{int(row['trial']):04}"
        record = json.loads((folder / "train/run.json").read_text())
        assert float(row["val/psnr"]) == pytest.approx(record["val_psnr"], abs=1e-3)  # the weights that were saved
        assert float(row["size_mb"]) == (folder / "train/model/model.safetensors").stat().st_size / 1e6
        assert float(row["latency_ms"]) > 0
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (parent,) = client.search_runs(["1"], "tags.sweep = 'tiny'")
    assert parent.info.status == "FINISHED"
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} >= {
        "results.csv",
        "best.yaml",
        "sweep.html",
    }
    children = client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    logged = {child.info.run_name: child.data.metrics["sweep/val/psnr"] for child in children}
    assert logged == {f"trial {row['trial']}": pytest.approx(float(row["val/psnr"])) for row in found}
    best = yaml.safe_load((project / FOLDER / "best.yaml").read_text())
    assert best["values"]["val/psnr"] == max(float(row["val/psnr"]) for row in found)
    assert {each["trial"] for each in best["front"]} == front_of(found)
    page = (project / FOLDER / "sweep.html").read_text()
    assert "Pareto front" in page
    assert f"Trial {best['trial']}: val/psnr {best['values']['val/psnr']:.3f} dB, latency_ms " in page
    assert all(f"{float(row['val/psnr']):.3f}" in page for row in found)
    assert "<script" not in page
    assert "://" not in page


def front_of(found):
    """The trials than which no other is at least as good in all and better in one."""
    points = {
        int(row["trial"]): (-float(row["val/psnr"]), float(row["latency_ms"]), float(row["size_mb"])) for row in found
    }
    return {
        number
        for number, point in points.items()
        if not any(
            all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in points.values()
        )
    }


def test_the_share_that_is_kept_counts_and_the_command_of_the_best_gives_its_weights(
    project, space_file, run_stage, tiny
):
    run_stage("train", *tiny, "logger=none", "paths.train=parent")
    given = ["train.init=parent/model", "optimizer.lr=0.003"]
    space = {"train.init_share": {"choices": [0.0, 1.0]}}
    file = space_file(trials=2, overrides=[*tiny, "logger=none", *given], space=space, pruner="none")
    study = study_of(file)
    for share in (0.0, 1.0):
        study.enqueue_trial({"train.init_share": share})
    swept(file)
    trained, kept = (float(row["val/psnr"]) for row in rows(project))
    before = json.loads((project / "parent/run.json").read_text())["val_psnr"]
    assert kept == pytest.approx(before, abs=1e-3)  # all of the parent's weights
    assert trained != pytest.approx(kept, abs=1e-3)
    best = yaml.safe_load((project / FOLDER / "best.yaml").read_text())
    run_stage("train", *best["overrides"])
    weights = [
        project / f"artifacts/{name}/model/model.safetensors"
        for name in ("train", f"sweeps/tiny/trials/{best['trial']:04}/train")
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_killed_trial_is_tried_again_from_its_checkpoint_and_a_crash_is_a_row(project, space_file, tiny):
    space = {"train.init": {"choices": [None, "nowhere"]}}
    file = space_file(trials=2, overrides=[*tiny, *LONG, "logger=none"], space=space)
    study = study_of(file)
    study.enqueue_trial({"train.init": None})
    study.enqueue_trial({"train.init": "nowhere"})
    process, trial = started(file, 0)
    trial.kill()
    said = process.communicate(timeout=280)[0]
    assert process.returncode == 0, said
    found = rows(project)
    assert [row["state"] for row in found] == ["lost, tried again", "failed", "done"]
    assert found[2]["error"] == ""
    assert found[0]["error"].startswith("its process was killed, most often for want of memory; see ")
    assert "trial 1 failed: " in said
    assert found[1]["error"].startswith("nowhere: is no folder with a model")
    assert len(found[1]["error"].splitlines()) == 1
    assert json.loads((project / FOLDER / "trials/0002/train/run.json").read_text())["resumed"]
    assert sorted(study.get_trials()[2].intermediate_values) == [5, 10, 15]


def test_a_sweep_whose_worker_was_killed_goes_on_to_the_number_of_trials(project, space_file, tiny, monkeypatch):
    file = space_file(trials=2, overrides=[*tiny, *LONG, "logger=none"])
    process, trial = started(file, 0)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    trial.wait(20)  # it goes with its worker
    (lost,) = study_of(file).get_trials()
    assert lost.state == TrialState.RUNNING
    said = swept(file).stdout
    found = rows(project)
    assert sorted(row["state"] for row in found) == ["done", "done", "lost, tried again"]
    again = next(row for row in found if row["trial"] != "0" and row["optimizer.lr"] == found[0]["optimizer.lr"])
    record = json.loads((project / FOLDER / "trials" / f"{int(again['trial']):04}" / "train/run.json").read_text())
    assert record["resumed"]
    assert record["steps"] == 300
    swept(file)  # nothing is left to do
    assert rows(project) == found
    assert "tiny: 2 trials" in said
    assert [row["state"] for row in rows_after(project, file, "--trials", "3")] == ["lost, tried again", *["done"] * 3]


def rows_after(project, file, *arguments):
    swept(file, *arguments)
    return rows(project)


def test_a_stopped_sweep_says_so_and_its_trial_is_tried_again(project, space_file, tiny):
    file = space_file(trials=1, overrides=[*tiny, *LONG, "logger=none"])
    process, trial = started(file, 0)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 143, said
    assert said.strip().splitlines()[-1] == "error: stopped by SIGTERM; run the same command again to go on"
    assert not trial.is_running()
    states = [each.state for each in study_of(file).get_trials()]
    assert states == [TrialState.FAIL, TrialState.WAITING]
    swept(file)
    assert [row["state"] for row in rows(project)] == ["lost, tried again", "done"]


def test_what_is_worse_than_others_were_ends_early(project, space_file, tiny):
    space = {"optimizer.lr": {"choices": [1e-3, 0.05]}}
    file = space_file(
        trials=2,
        overrides=[*tiny, "trainer.max_epochs=4", "logger=none"],
        pruner={"name": "median", "startup": 1},
        space=space,
    )
    study = study_of(file)
    for rate in (1e-3, 0.05):
        study.enqueue_trial({"optimizer.lr": rate})
    said = swept(file).stdout
    assert "trial 1 ended early: val/psnr" in said
    good, bad = study.get_trials()
    assert (good.state, bad.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert sorted(good.intermediate_values) == [1, 2, 3, 4]
    assert len(bad.intermediate_values) < 4
    assert [row["state"] for row in rows(project)] == ["done", "ended early"]


def test_where_no_trial_is_done_the_sweep_fails_with_one_line(project, space_file, tiny):
    shutil.rmtree(project / "artifacts/prepared")
    done = swept(space_file(trials=1), code=1)
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("error: tiny: no trial is done; see artifacts/sweeps/tiny/results.csv")
    )
    assert "unblur prepare" in rows(project)[0]["error"]
