"""`unblur doctor`: what this machine, its stores and the registry are like, and how to mend what is not well.

`--models`: every configured network and its cost. `--json`: the findings for programs. Exit code 1: there is a problem.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import cast

from unblur.commands.doctor_checks import Finding, clock, disk, dvc_remote, registry
from unblur.config.entry import command
from unblur.config.extras import install, is_installed
from unblur.config.root import project_root
from unblur.config.schema import RegistryConfig

OLDEST = (3, 11)
FEATURES = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "neon", "bf16", "sve")
# By the name of the index: that of the import, and what cannot be had without it.
PACKAGES = {
    "onnxruntime": ("onnxruntime", "restoring"),
    "openvino": ("openvino", "the fastest runtime on CPUs"),
    "imagecodecs": ("imagecodecs", "TIFF in most compressions"),
    "av": ("av", "videos"),
    "fastapi": ("fastapi", "unblur serve"),
    "torch": ("torch", "training, explaining"),
    "lightning": ("lightning", "training"),
    "hydra-core": ("hydra", "training"),
    "mlflow": ("mlflow", "training, the registry"),
    "dvc": ("dvc", "the pipeline"),
    "albumentations": ("albumentations", "training"),
}


@command
def main(argv: list[str]) -> int:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(prog="unblur doctor", description=__doc__)
    parser.add_argument("--models", action="store_true", help="parameters and MACs of every conf/model/*.yaml")
    parser.add_argument("--json", action="store_true", help="findings as JSON: name, found, state, mend")
    parser.add_argument("--name", default=RegistryConfig.model_name, help="the registered model")
    options = parser.parse_args(argv)

    from rich.markup import escape

    from unblur.console import show_table, what_next

    if options.models:
        columns = ["model", "task", "parameters, M", "GMACs at 256x256"]
        show_table("Networks; GMACs of an image, or of each frame or shot", columns, model_rows())
        what_next("unblur train model=NAME", "unblur import-weights FILE.pth OUT     start from official weights")
        return 0
    found = list(findings(options.name))
    broken = [finding.name for finding in found if finding.state == "problem"]
    if options.json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in found], indent=2) + "\n")
        return int(bool(broken))
    shown = {"ok": "", "note": "note", "problem": "[bold]PROBLEM[/bold]"}
    rows = [[each.name, escape(each.found), shown[each.state], escape(each.mend)] for each in found]
    show_table("This machine and its stores", ["", "found", "", "to mend"], rows, texts=4)
    if (project_root() / "dvc.yaml").is_file():
        what_next("unblur doctor --models     the networks and their costs", "make repro     the whole pipeline")
    else:  # installed, for photographs
        what_next("unblur restore PHOTO OUT     one photograph, or a folder", "unblur serve     a page for the browser")
    return int(bool(broken))


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


def findings(name: str = RegistryConfig.model_name) -> Iterator[Finding]:
    """Yield what was found of this machine, of DVC's and MLflow's stores and of the registered model `name`."""
    from unblur.config.tracking import tracking_uri

    yield _python()
    yield from _training() if is_installed("torch") else [Finding("CPU", f"{os.cpu_count()} cores")]
    yield disk(Path.cwd())
    yield clock(Path.cwd(), tracking_uri())
    for package, (module, use) in PACKAGES.items():
        try:
            yield Finding(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, f"missing: {use}", "note", install(module))
    for tool in ("git", "dvc"):
        where = shutil.which(tool)
        mend = install(tool) if tool == "dvc" and not is_installed(tool) else f"put {tool} on the PATH"
        yield Finding(f"{tool} command", where) if where else Finding(f"{tool} command", "missing", "note", mend)
    yield dvc_remote(project_root())
    yield from registry(name)


def _python() -> Finding:
    found = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    old = sys.version_info < OLDEST
    return Finding("Python", found, "problem", "install Python 3.11 or newer") if old else Finding("Python", found)


def _training() -> Iterator[Finding]:
    import torch

    from unblur.training.precision import resolve_precision

    threads, has = torch.get_num_threads(), torch.cpu.get_capabilities()
    features = [name for name in FEATURES if has.get(name)]
    yield Finding("CPU", f"{os.cpu_count()} cores, {threads} threads, {torch.backends.cpu.get_cpu_capability()}")
    slow = "" if features else "restoring and training will be slow here"
    yield Finding("CPU features", ", ".join(features) or "none", "ok" if features else "note", slow)
    precision = resolve_precision("auto", "cpu")
    yield Finding("training precision", precision.replace("32-true", "float32: bfloat16 is slow here"))
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield (
        Finding("GPU", ", ".join(gpus))
        if gpus
        else Finding("GPU", "none", "note", "none needed; with one: trainer=gpu")
    )


if __name__ == "__main__":
    main()
