"""Trainings of several processes over gloo: what one process would have learnt, from each sample once."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]


class Ranks:
    """The processes of trainings, each forked from one that has imported what they need."""

    def __init__(self, server: "subprocess.Popen[str]") -> None:
        self.server = server

    def begin(self, project: Path, count: int, *overrides: str, log: str = "log") -> list[int]:
        """Start the processes of one training as SLURM's srun would and return their numbers."""
        shared = {
            "UNBLUR_ROOT": str(project),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NAME": "train",
            "SLURM_NTASKS": str(count),
            "SLURM_NTASKS_PER_NODE": str(count),
            "SLURM_NNODES": "1",
            "SLURM_NODEID": "0",
        }
        arguments = [*overrides, f"trainer.devices={count}", "logger=none"]
        started = []
        for rank in range(count):
            environment = shared | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
            file = str(project / (f"{log}.{rank}"))
            started.append(
                self.ask({"folder": str(project), "environment": environment, "arguments": arguments, "log": file})
            )
        return started

    def end(self, started: list[int]) -> list[int]:
        """Return the exit codes of processes, once all have ended."""
        return [self.ask(each) for each in started]

    def ask(self, question: object) -> int:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(question) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    command = [sys.executable, str(Path(__file__).with_name("ranks.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Ranks(server)
        server.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def said(project: Path, log: str = "log") -> str:
    return "".join(path.read_text() for path in sorted(project.glob(f"{log}.*")))


def results(folder: Path):
    rows = list(csv.DictReader((folder / "history.csv").open()))
    weights = load_file(folder / "model/model.safetensors")
    return rows, weights, json.loads((folder / "run.json").read_text())


def same(one, other) -> None:
    """Compare curves and weights: gradients are means over four samples, only the order of the sums differs."""
    assert one[2]["steps"] == other[2]["steps"] > 0
    assert len(one[0]) == len(other[0]) > 1
    for alone, several in zip(one[0], other[0], strict=True):
        assert alone["step"] == several["step"]
        for column in ("train_loss", "val_psnr"):
            assert float(several[column]) == pytest.approx(float(alone[column]), rel=1e-4)
    assert {name: each.shape for name, each in one[1].items()} == {name: each.shape for name, each in other[1].items()}
    flat = [torch.cat([weights[name].ravel() for name in sorted(weights)]) for weights in (one[1], other[1])]
    # Adam makes steps of a size also where a gradient is nothing but rounding, so single weights may differ by more.
    assert float((flat[0] - flat[1]).norm() / flat[0].norm()) < 1e-4


# Twelve steps, with a checkpoint after every fourth, and five pairs to validate on: they cannot be shared out evenly.
SHORT = ("data.steps_per_epoch=4", "trainer.max_epochs=3", "data.pairs_per_photo={val: 5, test: 4}")


@pytest.fixture(autouse=True)
def five_pairs(project: Path, tiny: tuple[str, ...], make_pairs: Callable[[Path, Sequence[str]], None]) -> None:
    make_pairs(project, [*tiny, *SHORT])


@pytest.fixture
def begin(project: Path, ranks: Ranks, tiny: tuple[str, ...]) -> Callable[..., list[int]]:
    """`begin(folder, processes, *overrides)`: starts a training with a batch of four in all."""

    def start(folder: str, processes: int, *overrides: str) -> list[int]:
        batch = f"data.batch_size={4 // processes}"
        return ranks.begin(project, processes, *tiny, *SHORT, *overrides, batch, f"paths.train={folder}", log=folder)

    return start


@pytest.fixture(scope="module")
def kept() -> dict[str, tuple]:
    return {}


@pytest.fixture
def alone(project: Path, ranks: Ranks, begin: Callable[..., list[int]], kept: dict[str, tuple]) -> tuple:
    """The results of one process, trained once for all tests of this file."""
    if not kept:
        assert ranks.end(begin("alone", 1)) == [0], said(project, "alone")
        kept["alone"] = results(project / "alone")
    return kept["alone"]


@pytest.mark.parametrize(("strategy", "processes"), [("ddp_cpu", 2), ("ddp_cpu", 4), ("fsdp_cpu", 2)])
def test_the_curve_is_that_of_one_process_with_the_same_batch_in_all(project, ranks, begin, alone, strategy, processes):
    started = begin("together", processes, f"trainer={strategy}")
    assert ranks.end(started) == [0] * processes, said(project, "together")
    same(alone, results(project / "together"))


@pytest.mark.parametrize(
    ("before", "killed", "after"),
    [(("ddp_cpu", 2), 0, ("fsdp_cpu", 4)), (("fsdp_cpu", 2), 1, ("cpu", 1))],
)
def test_a_killed_process_ends_the_others_and_the_training_goes_on_with_another_number(
    project, ranks, begin, alone, before, killed, after
):
    """The curve is that of an undisturbed training: so each sample was trained on once."""
    started = begin("cut", before[1], f"trainer={before[0]}")
    while not (found := list(project.glob("checkpoints/*/last.ckpt"))):
        time.sleep(0.01)
    os.kill(started[killed], signal.SIGKILL)
    killed_at = time.monotonic()
    codes = ranks.end(started)
    assert time.monotonic() - killed_at < 60
    assert codes == [-signal.SIGKILL if rank == killed else 1 for rank in range(before[1])]
    told = [line for line in said(project, "cut").splitlines() if line.startswith("error:")]
    assert len(told) == before[1] - 1
    assert all("another process of this training has ended" in line for line in told)
    assert found[0].exists()
    assert not (project / "cut/model").exists()
    assert ranks.end(begin("resumed", after[1], f"trainer={after[0]}")) == [0] * after[1], said(project, "resumed")
    resumed = results(project / "resumed")
    assert resumed[2]["resumed"]
    same(alone, resumed)
