"""The wheel alone, in an empty folder outside the repository: beside everything that it can use, and beside nothing
but what `pip install unblur` brings."""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

ROOT = Path(__file__).parents[1]
PARENTS = ROOT / "src" / "unblur" / "training" / "parents"  # what is trained further is trained in a checkout
pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

Run = Callable[..., "subprocess.CompletedProcess[str]"]

MOST_MEGABYTES = 400  # of the light installation


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the backend of this environment, so that no index is asked for one."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("unblur-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds the wheel, and sees the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    # The .pth files of a folder that a .pth file names are not read, so the editable installation stays out.
    (site_packages,) = folder.glob("lib/python*/site-packages")
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n", encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds the wheel and what its metadata asks for without an extra, no more.

    The files are links to those of this environment, so that no index is asked for them.
    """
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (own,) = importlib.metadata.distributions(name="unblur", path=[str(site_packages)])
    for distribution in brought_by(own):
        for file in distribution.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                link = site_packages / file
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(distribution.locate_file(file))
    return python


def brought_by(start: importlib.metadata.Distribution) -> list[importlib.metadata.Distribution]:
    """Return what an installation without extras brings beside the package, in the versions of this environment."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [start]
    while waiting:
        for line in waiting.pop().requires or ():
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found[name] = importlib.metadata.distribution(name)
                waiting.append(found[name])
    return list(found.values())


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run the new environment's Python in an empty folder, where nothing points to the repository."""
    return runner(installed, tmp_path)


@pytest.fixture
def run_light(light: Path, tmp_path: Path) -> Run:
    """Do as `run` with the light environment."""
    return runner(light, tmp_path)


def runner(python: Path, folder: Path) -> Run:
    """Run `python` in `folder` with an environment that holds nothing but what is written here."""
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), "TMPDIR": tempfile.gettempdir()}
    environment |= {"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}

    def run_python(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        command = [str(python), *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run_python


def test_holds_the_package_its_configuration_and_its_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "src" / "unblur"
    content = [path for path in package.rglob("*") if is_content(path) and PARENTS not in path.parents]
    wanted = {f"unblur/{path.relative_to(package).as_posix()}" for path in content}
    wanted |= {
        f"unblur/conf/{path.relative_to(ROOT / 'conf').as_posix()}"
        for path in (ROOT / "conf").rglob("*")
        if is_content(path) and "local" not in path.relative_to(ROOT / "conf").parts
    }
    metadata = {name for name in names if ".dist-info/" in name}
    assert {"unblur/conf/config.yaml", "unblur/ingest/starter.json", "unblur/registry/card.md.j2"} <= wanted
    assert names - metadata == wanted
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in metadata)


def test_is_imported_from_where_it_was_installed(run, installed):
    where = Path(run("-c", "import unblur; print(unblur.__file__)").stdout.strip())
    assert where.is_relative_to(installed.parents[1])
    found = run("-c", "from unblur.config.compose import config_dir; print(config_dir())").stdout.strip()
    assert Path(found) == where.parent / "conf"


def test_help_as_a_module_and_as_a_command(run, installed):
    page = run("-m", "unblur", "--help").stdout
    assert page.startswith("usage: unblur COMMAND")
    assert run(str(installed.parent / "unblur"), "--help").stdout == page


def test_composes_a_configuration(run, tmp_path):
    run("-m", "unblur", "compose", "experiment=smoke", "seed=9", "--out", "pipeline.yaml")
    config = yaml.safe_load((tmp_path / "pipeline.yaml").read_text(encoding="utf-8"))
    assert config["seed"] == 9
    assert config["model"]["_target_"] == "unblur.networks.nafnet.NAFNet"


def test_help_of_restore(run):
    assert run("-m", "unblur", "restore", "--help").stdout.startswith("usage: unblur restore")


def test_restores_a_photograph(run, tmp_path, make_photo):
    """With a network that turns a photograph into its negative, so that the result is known."""
    photo = make_photo(40, 56)
    Image.fromarray(photo).save(tmp_path / "in.png")
    write_negative(tmp_path / "negative.onnx")
    run("-m", "unblur", "restore", "in.png", "out.png", "--model", "negative.onnx", "--no-guard", "--threads", "1")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), 255 - photo)


def test_a_mistake_is_one_line(run):
    done = run("-m", "unblur", "restore", "missing.png", "out.png", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "missing.png" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_light_installation_is_small(light):
    (site_packages,) = light.parents[1].glob("lib/python*/site-packages")
    sizes = {file: file.stat().st_size for file in site_packages.rglob("*") if file.is_file()}
    assert any(file.name.startswith("libonnxruntime") for file in sizes)
    assert sum(sizes.values()) < MOST_MEGABYTES * 1_000_000


@pytest.mark.parametrize("module", ["torch", "lightning", "hydra", "dvc", "mlflow", "nncf", "openvino", "av", "onnx"])
def test_the_light_installation_is_bare(run_light, module):
    assert f"No module named '{module}'" in run_light("-c", f"import {module}", check=False).stderr


@pytest.mark.parametrize(("suffix", "options"), [(".png", {}), (".webp", {"lossless": True}), (".tif", {})])
def test_the_light_installation_restores_a_photograph(run_light, tmp_path, make_photo, suffix, options):
    photo = make_photo(40, 56)
    Image.fromarray(photo).save(tmp_path / f"in{suffix}", **options)
    write_negative(tmp_path / "negative.onnx")
    run_light("-m", "unblur", "restore", f"in{suffix}", "out.png", "--model", "negative.onnx", "--no-guard")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), 255 - photo)


def test_the_light_installation_is_a_library(run_light, tmp_path, make_photo):
    np.save(tmp_path / "in.npy", make_photo(40, 56))
    write_negative(tmp_path / "negative.onnx")
    program = "import numpy, unblur; m = unblur.load('negative.onnx'); "
    run_light("-c", program + "numpy.save('out.npy', m(numpy.load('in.npy'), guard=False))")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), 255 - make_photo(40, 56))


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("compose", "train"),
        ("train", "train"),
        ("promote", "train"),
        ("score model pairs", "train"),
        ("doctor --models", "train"),
        ("import-weights a b", "train"),
        ("models get maxim-gopro", "train"),
        ("drift window reference", "drift"),
        ("restore clip.mp4 out.mp4 --model negative.onnx", "video"),
        ("restore lzw.tif out.png --model negative.onnx", "codecs"),
        ("restore in.png out.png --model negative.onnx --runtime openvino", "openvino"),
        ("restore in.png out.png --model foreign.onnx", "models"),
        ("restore in.png out.png --model weights", "train"),
        ("restore in.png out.png --model models:/unblur@champion", "train"),
    ],
)
def test_a_command_says_in_one_line_which_extra_it_lacks(run_light, tmp_path, make_photo, command, extra):
    photo = Image.fromarray(make_photo(40, 56))
    photo.save(tmp_path / "in.png")
    photo.save(tmp_path / "lzw.tif", compression="tiff_lzw")
    write_negative(tmp_path / "negative.onnx")
    write_negative(tmp_path / "foreign.onnx", ["batch", 3, 48, 48])
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\0")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors").write_bytes(b"no weights")
    done = run_light("-m", "unblur", *command.split(), check=False)
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert f"pip install 'unblur[{extra}]'" in line


def test_what_the_light_installation_lacks_is_what_the_doctor_prescribes(run_light):
    assert "pip install 'unblur[train]'" in run_light("-m", "unblur", "doctor", "--json").stdout


def is_content(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".")


def write_negative(path: Path, sizes: list[int | str] | None = None) -> None:
    """Write 1 - x as an ONNX model with the names and, if none are given, the free sizes of an exported network."""
    sizes = sizes or ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Sub", ["one", "blur"], ["restored"])],
        "negative",
        [helper.make_tensor_value_info("blur", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("restored", TensorProto.FLOAT, sizes)],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
