"""What SECURITY.md says of all the code and its packages; the modules that it names have tests of their own."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import grimp
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PICKLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
UNPICKLES = {"load", "loads", "Unpickler"}
BOUNDS = re.findall(r"^\| ([\w-]+) \| ((?:>=|==|not) [^|]+) \|", TEXT, re.MULTILINE)


def calls() -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield (file, what is called, its named arguments that are constants) of every call in the package."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                named = {each.arg: each.value.value for each in node.keywords if isinstance(each.value, ast.Constant)}
                yield path.name, ast.unparse(node.func), named


def test_torch_loads_weights_only():
    loads = [(file, named) for file, name, named in calls() if name == "torch.load"]
    assert {file for file, _ in loads} == {"official.py", "checkpoints.py"}
    assert all(named["weights_only"] is True for _, named in loads)
    assert not [file for file, name, _ in calls() if name == "load_from_checkpoint" or "load_from_checkpoint" in name]


def test_nothing_is_unpickled():
    assert not [file for file, name, _ in calls() if name in {f"pickle.{each}" for each in UNPICKLES}]
    readers = [named for _, name, named in calls() if name in ("np.load", "np.lib.format.read_array")]
    assert readers
    assert all(named["allow_pickle"] is False for named in readers)
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(?:import|from) (?:cloudpickle|dill|joblib|shelve)\b|^\s*from pickle\b", text, re.M)


def test_onnx_runtime_gets_no_operators_of_others():
    assert not [file for file, name, _ in calls() if name.endswith("register_custom_ops_library")]


def test_mlflow_may_not_unpickle_where_the_code_uses_it():
    environment = {name: value for name, value in os.environ.items() if name != PICKLE}
    program = f"import os, unblur.config.tracking; print(os.environ['{PICKLE}'])"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "false"
    graph = grimp.build_graph("unblur", include_external_packages=True, cache_dir=None)
    tracking = "unblur.config.tracking"
    without = {
        module
        for module in graph.find_modules_that_directly_import("mlflow")
        if module != tracking and not graph.chain_exists(importer=module, imported=tracking)
    }
    handed = {"unblur.registry.earlier", "unblur.registry.record", "unblur.registry.versions"}  # tracking.py's client
    assert without <= {"unblur.config.masked_client", *handed}


SWITCHES = ["MLFLOW_DISABLE_TELEMETRY", "DVC_NO_ANALYTICS", "ORT_DISABLE_TELEMETRY", "NO_ALBUMENTATIONS_UPDATE"]


@pytest.mark.parametrize("name", [PICKLE, *SWITCHES])
def test_make_and_the_image_set(name):
    value = "false" if name == PICKLE else "(?:true|1)"
    assert re.search(rf"^export {name} := {value}$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert re.search(rf"\b{name}={value}\b", (ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_onnx_runtime_keeps_nothing_to_send(tmp_path):
    """Where its telemetry is on, a session makes an id of the machine and a database in the user's cache."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    program = (
        "import unblur; from unblur.models.loading import load_by_name; load_by_name('box', 1, runtime='onnxruntime')"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert not [path for path in tmp_path.rglob("*") if "microsoft" in str(path).lower()]


def test_what_make_and_the_readme_start_listens_on_this_machine_alone():
    found = []
    for path in (ROOT / "Makefile", ROOT / "Dockerfile", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"\bmlflow (?:ui|server|models serve) ", line):
                found.append(line)
    assert len(found) >= 2
    assert all("--host 127.0.0.1" in line for line in found)


def test_mlflows_server_has_what_is_advised():
    from mlflow.cli import server

    options = {name: option for option in server.params for name in option.opts}
    assert "basic-auth" in options["--app-name"].type.choices
    assert "--allowed-hosts" in options


@pytest.mark.parametrize(("package", "bound"), BOUNDS)
def test_versions_that_are_kept_out(package, bound):
    excluded = re.sub(r"not ", "!=", bound).replace(" ", "")
    stated = SpecifierSet(re.sub(r",(?=\d)", ",!=", excluded))
    lines = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    asked = [each.specifier for each in map(Requirement, lines) if each.name == package]
    locked = re.search(rf"^{package}==(\S+)$", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M)[1]
    assert asked
    for specifier in asked:
        assert set(stated) <= set(specifier)
    assert locked in stated
    assert version(package) in stated


def test_the_table_of_versions_is_read():
    assert {package for package, _ in BOUNDS} == {
        "torch",
        "lightning",
        "hydra-core",
        "mlflow",
        "pillow",
        "albumentations",
    }


def test_the_lock_is_a_constraints_file_without_hashes():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.]+(?: *;.*)?", line) for line in lines)
    assert "--constraint requirements.lock" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_what_runs_shell_lines_of_the_repository_gets_no_secret():
    """Of the workflows that see secrets none is started by somebody else's branch."""
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        if "secrets." in text:
            assert not {"pull_request", "pull_request_target", "push"} & set(yaml.load(text, yaml.BaseLoader)["on"])


def test_the_files_that_it_names_are_there():
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", TEXT)
    assert named
    assert all((ROOT / "src/unblur" / name).is_file() for name in named)
