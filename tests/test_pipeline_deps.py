"""Each stage of dvc.yaml depends on the code that it runs: otherwise an edit would not run it again."""

import ast
import itertools
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from unblur.cli import COMMANDS
from unblur.config.compose import compose

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
COMPOSED = "artifacts/config/pipeline.yaml"

# What changes no output: the version's number, what a person sees on the terminal, the classes of errors.
EXEMPT = {"unblur", "unblur.stages.console", "unblur.errors"}

# Whoever can load a trained network runs the code of that network, which no import names.
LOADS_NETWORKS = "unblur.training.weights"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_what_the_stage_runs(stage: str) -> None:
    deps = dependencies(stage)
    missing = {path: why for path, why in files_run_by(stage).items() if not any(path.is_relative_to(d) for d in deps)}
    lines = "\n".join(f"      - {path.relative_to(ROOT)}  # {why}" for path, why in sorted(missing.items()))
    assert not missing, f"stage {stage!r} of dvc.yaml runs code that its deps do not name; add, or its folder:\n{lines}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_code_dep_is_run_by_the_stage(stage: str) -> None:
    run = files_run_by(stage)
    code = [path for path in dependencies(stage) if path.is_relative_to(SOURCE)]
    idle = [str(path.relative_to(ROOT)) for path in code if not any(file.is_relative_to(path) for file in run)]
    assert not idle, f"stage {stage!r} of dvc.yaml would run again for edits that it never sees; remove: {idle}"


def test_a_dep_that_is_left_out_is_noticed() -> None:
    run = {str(path.relative_to(SOURCE)): why for path, why in files_run_by("train").items()}
    assert "unblur.training.fit" in run["unblur/training/module.py"]  # an import inside a function
    assert run["unblur/networks/nafnet.py"] == "model._target_ in the configuration"  # a class that no import names
    assert "unblur/stages/evaluate.py" not in run
    assert "unblur/data/starter.json" not in run


def dependencies(stage: str) -> list[Path]:
    return [ROOT / dep for dep in STAGES[stage]["deps"]]


@cache
def files_run_by(stage: str) -> dict[Path, str]:
    """Return every file under src/ whose change can change what the stage writes, and why it is there."""
    command = shlex.split(STAGES[stage]["cmd"])
    assert command[0] == "unblur", f"stage {stage!r} runs {command[0]!r}, whose imports nobody checks"
    start = COMMANDS[command[1]].module
    reasons = reached_from(start, "the stage itself")
    keys = [key for entry in STAGES[stage].get("params", []) if isinstance(entry, dict) for key in entry[COMPOSED]]
    if LOADS_NETWORKS in reasons:
        keys.append("model")
    for key in dict.fromkeys(keys):
        for where, module in targets(OmegaConf.select(configuration(), key), key):
            for name, why in reached_from(module, f"{where} in the configuration").items():
                reasons.setdefault(name, why)
    files = {module_file(name): why for name, why in reasons.items() if name not in EXEMPT}
    return files | dict(package_data(files))


def reached_from(module: str, why: str) -> dict[str, str]:
    """Return what `module` imports directly or not, with the packages on the way there if they hold code."""
    graph = import_graph()
    reasons = {module: why}
    for name in sorted(graph.find_upstream_modules(module)):
        chain = graph.find_shortest_chain(importer=module, imported=name) or ()
        reasons[name] = f"{why}, {' -> '.join(chain)}" if why.endswith("configuration") else " -> ".join(chain)
    for name in list(reasons):
        parts = name.split(".")
        for package in itertools.accumulate(parts[:-1], "{}.{}".format):
            if has_code(module_file(package)):
                reasons.setdefault(package, f"the package of {name}")
    return reasons


def targets(node: object, where: str) -> Iterator[tuple[str, str]]:
    """Yield (key, module) of every class of ours in a section of the configuration."""
    if isinstance(node, DictConfig):
        target = node.get("_target_", "")
        if target.startswith("unblur."):
            yield f"{where}._target_", target.rpartition(".")[0]
        for key in node:
            yield from targets(node[key], f"{where}.{key!s}")
    elif isinstance(node, ListConfig):
        for index, item in enumerate(node):
            yield from targets(item, f"{where}.{index}")


def package_data(files: dict[Path, str]) -> Iterator[tuple[Path, str]]:
    """Yield the templates and tables that one of the modules names."""
    data = [path for path in SOURCE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    for path, module in itertools.product(data, files):
        if path.parent == module.parent and f'"{path.name}"' in module.read_text(encoding="utf-8"):
            yield path, f"read by {module.name}"


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("unblur", cache_dir=None, exclude_type_checking_imports=True)


@cache
def configuration() -> DictConfig:
    return compose(["experiment=starter"])


@cache
def module_file(name: str) -> Path:
    path = SOURCE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def has_code(path: Path) -> bool:
    """Tell whether a package's __init__.py holds more than its docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)
