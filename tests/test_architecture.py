"""The rules of the house: layers, declared dependencies, light start, short files, nothing of one machine."""

import ast
import importlib.metadata
import json
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import unblur.commands
import unblur.stages
from unblur.config.extras import BASE, extra_of

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "unblur").rglob("*.py"))
HEAVY = (
    "albumentations",
    "av",
    "cv2",
    "hydra",
    "lightning",
    "matplotlib",
    "mlflow",
    "omegaconf",
    "onnx",
    "onnxruntime",
    "pandas",
    "scipy",
    "skimage",
    "torch",
    "torchmetrics",
)
LONGEST_FILE = 350

# Written as patterns, so that this file does not hold what it looks for.
OF_ONE_MACHINE = {
    "a path of one machine": re.compile(r"""(?:^|[\s"'`=(:])/(?:work|root|tmp|home/\w+|Users/\w+)/""", re.MULTILINE),
    "the address of a package index": re.compile(
        r"pypi\.org|pythonhosted\.org|pytorch\.org/whl|https?://(?!127\.0\.0\.1|localhost)\S+/simple\b"
    ),
}


def test_rooms_import_only_from_below() -> None:
    # In a process of its own: it disables every logger that there is.
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = {"": project["dependencies"], **project["optional-dependencies"]}
    declared = {extra: {canonicalize_name(Requirement(line).name) for line in lines[extra]} for extra in lines}
    distributions = importlib.metadata.packages_distributions()
    undeclared = []
    for source in SOURCES:
        for name in third_party_imports(source):
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [])}
            extra = "" if name in BASE else extra_of(name)
            if not owners & declared[extra]:
                owner = ", ".join(sorted(owners)) or "not installed"
                undeclared.append(f"{source.relative_to(ROOT)} imports {name} ({owner}), of extra {extra or 'none'}")
    assert not undeclared, "not where pyproject.toml and config/extras.py have it:\n" + "\n".join(undeclared)


def test_no_module_of_the_command_line_imports_a_heavy_package() -> None:
    rooms = (unblur.commands, unblur.stages)
    modules = [
        "unblur.cli",
        *(f"{room.__name__}.{each.name}" for room in rooms for each in pkgutil.iter_modules(room.__path__)),
    ]
    # One process for all: what a module has loaded is charged to it, and nothing is unloaded.
    program = """
import importlib, json, sys
modules, heavy = json.loads(sys.argv[1])
loaded = {}
for module in modules:
    before = set(sys.modules)
    importlib.import_module(module)
    loaded[module] = sorted(set(heavy) & (set(sys.modules) - before))
print(json.dumps(loaded))
"""
    done = python("-c", program, json.dumps([modules, HEAVY]))
    loaded = json.loads(done.stdout)
    assert list(loaded) == modules
    assert not {module: packages for module, packages in loaded.items() if packages}


def test_help_imports_neither_hydra_nor_anything_heavy() -> None:
    done = python("-X", "importtime", "-m", "unblur", "--help")
    assert "usage: unblur COMMAND" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "unblur.cli" in imported
    assert not imported & {*HEAVY, "rich", "yaml"}


def test_no_source_file_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert not {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > LONGEST_FILE}


def test_no_file_names_one_machine_or_a_package_index() -> None:
    found = []
    for name in files_of_the_project():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # an image, or deleted but not yet committed
            continue
        for what, pattern in OF_ONE_MACHINE.items():
            lines = (text.count("\n", 0, match.start()) + 1 for match in pattern.finditer(text))
            found += [f"{name}:{line}: {what}" for line in lines]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ('open("/{}/photo.png")', "work"),
        ("cache: /{}/cache", "root"),
        ("see `/{}/me/unblur`", "home"),
        ("see /{}space/photo.png and ../{}/x", None),
        ("--index-url https://mirror.example/{}", "simple"),
    ],
)
def test_the_patterns_find_what_they_are_for(text: str, caught: str | None) -> None:
    line = text.replace("{}", caught or "work")
    assert any(pattern.search(line) for pattern in OF_ONE_MACHINE.values()) == (caught is not None)


def third_party_imports(path: Path) -> set[str]:
    """Return the top-level names that the file imports, anywhere in it, without the standard library's and ours."""
    names = set(imported_modules(ast.parse(path.read_text(encoding="utf-8"))))
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"unblur"}


def imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def files_of_the_project() -> list[str]:
    """Return what git tracks, and what it would with the next `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = sorted(set(filter(None, done.stdout.split("\0"))))
    assert "pyproject.toml" in names
    return names


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
