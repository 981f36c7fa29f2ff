"""Which of a training's processes this one is, before Lightning knows: torchrun, SLURM and Lightning say it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any


def is_first_process() -> bool:
    """Tell whether this process is the first of its training, which alone logs and sets files aside."""
    if "RANK" in os.environ:  # torchrun
        return os.environ["RANK"] == "0"
    names = ("SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)


def count_processes(trainer: Mapping[str, Any]) -> int:
    """Return the number of processes of a training on all nodes.

    Args:
        trainer: the section of the configuration.
    """
    if "WORLD_SIZE" in os.environ:  # torchrun, or a process that Lightning has started
        return int(os.environ["WORLD_SIZE"])
    return int(trainer.get("num_nodes", 1)) * _count_devices(trainer.get("devices", 1), str(trainer.get("accelerator")))


def _count_devices(devices: object, accelerator: str) -> int:
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([each for each in devices.split(",") if each.strip()])
    if str(devices) not in {"-1", "auto"}:
        return int(str(devices))
    if accelerator == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())
