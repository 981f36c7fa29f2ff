"""Which process of a training this is, by the variables that torchrun, SLURM and Lightning set."""

import pytest

from unblur.config.processes import count_processes, is_first_process


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "8", "LOCAL_RANK": "0"}, False),  # torchrun, the second node
        ({"RANK": "0", "LOCAL_RANK": "0", "SLURM_PROCID": "1"}, True),  # torchrun numbers nodes as it likes
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "1"}, False),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),  # a process that Lightning has started
        ({"NODE_RANK": "1"}, False),
    ],
)
def test_one_process_is_the_first(monkeypatch, variables, first):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first


@pytest.mark.parametrize(
    ("trainer", "count"),
    [
        ({}, 1),
        ({"accelerator": "cpu", "devices": 4}, 4),
        ({"accelerator": "cpu", "devices": "auto"}, 1),
        ({"accelerator": "gpu", "devices": 8, "num_nodes": 3}, 24),
        ({"accelerator": "gpu", "devices": [0, 2]}, 2),
        ({"accelerator": "gpu", "devices": "0,2,3"}, 3),
    ],
)
def test_processes_are_those_of_all_nodes(trainer, count):
    assert count_processes(trainer) == count


def test_who_has_started_the_processes_knows_best(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "16")
    assert count_processes({"devices": -1}) == 16
