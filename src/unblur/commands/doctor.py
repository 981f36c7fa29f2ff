"""`unblur doctor`: what this machine has and what is missing; `--models`: every configured network and its cost."""

import argparse
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from unblur.config.entry import command

# By the names of the index and of the import.
PACKAGES = {
    **{name: name for name in ("onnxruntime", "openvino", "imagecodecs", "av", "torch", "lightning")},
    **{"hydra-core": "hydra", "mlflow": "mlflow", "dvc": "dvc", "albumentations": "albumentations"},
}


@command
def main(argv: list[str]) -> int:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(prog="unblur doctor", description=__doc__)
    parser.add_argument("--models", action="store_true", help="parameters and MACs of every conf/model/*.yaml")
    options = parser.parse_args(argv)

    from unblur.console import show_table, what_next

    if options.models:
        columns = ["model", "task", "parameters, M", "GMACs at 256x256"]
        show_table("Networks; GMACs of an image, or of each frame or shot", columns, model_rows())
        what_next("unblur train model=NAME", "unblur import-weights FILE.pth OUT     start from official weights")
    else:
        show_table("This machine", ["", "found", "to mend"], machine_rows())
        what_next("unblur doctor --models     the networks and their costs", "make repro     the whole pipeline")
    return 0


def model_rows() -> Iterator[list[str]]:
    """Yield name, task, parameters and MACs of each configured network, built without memory for its weights."""
    import torch
    from omegaconf import DictConfig, OmegaConf

    from unblur.benchmark.complexity import complexity
    from unblur.config.compose import config_dir
    from unblur.config.instantiate import instantiate

    for path in sorted((config_dir() / "model").glob("*.yaml")):
        with torch.device("meta"):
            network = instantiate(cast("DictConfig", OmegaConf.load(path)))
        cost = complexity(network)
        yield [path.stem, network.task, f"{cost.parameters / 1e6:.2f}", f"{cost.macs_256 / 1e9:.2f}"]


def machine_rows() -> Iterator[list[str]]:
    """Yield what is there, and what to do about what is not."""
    from rich.markup import escape

    from unblur.config.extras import install, is_installed
    from unblur.config.tracking import tracking_uri
    from unblur.safety.secrets import masked

    yield ["system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}", ""]
    yield from _training_rows() if is_installed("torch") else [["CPU", f"{os.cpu_count()} cores", ""]]
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield ["free disk", f"{free:.0f} GB", "" if free > 5 else "training and its cache need about 5 GB"]
    for package, module in PACKAGES.items():
        try:
            yield [package, importlib.metadata.version(package), ""]
        except importlib.metadata.PackageNotFoundError:
            yield [package, "missing", escape(install(module))]
    yield ["MLflow's store", masked(tracking_uri()), ""]
    for tool in ("git", "dvc"):
        where = shutil.which(tool)
        yield [f"{tool} command", where or "missing", "" if where else f"put {tool} on the PATH"]


def _training_rows() -> Iterator[list[str]]:
    import torch

    from unblur.training.precision import resolve_precision

    threads = torch.get_num_threads()
    yield ["CPU", f"{os.cpu_count()} cores, {threads} threads, {torch.backends.cpu.get_cpu_capability()}", ""]
    yield ["training precision", resolve_precision("auto", "cpu").replace("32-true", "slow here: float32 is used"), ""]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield ["GPU", ", ".join(gpus) or "none", "" if gpus else "none needed; with one: trainer=gpu"]


if __name__ == "__main__":
    main()
