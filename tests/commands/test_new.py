"""A network, a network for video, a layout and a stage, each written by one command and ten lines of a person."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from unblur.errors import UnblurError, UsageError
from unblur.pipeline.code import code_of_stages
from unblur.pipeline.sources import Sources
from unblur.scaffold.write import new_layout, new_network, new_stage

ROOT = Path(__file__).parents[2]
SMOKE = (
    "experiment=smoke", "data=mine", "data.patch_size=16", "data.min_side=16", "data.max_side={val: 48, test: 48}",
    "model=plain_tiny", "train.threads=1", "export.formats=[onnx]", "prune.target=null",
    "quantize.kinds=[]", "benchmark.rounds=1", "benchmark.sizes=[[32, 32]]",
)  # fmt: skip


def copied(folder):
    """Copy the repository, as far as `unblur new` and the pipeline read it."""
    for each in ("src", "conf", "tests"):
        shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for file in ("dvc.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, folder / file)
    return folder


@pytest.fixture
def checkout(tmp_path):
    return copied(tmp_path / "checkout")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_names_that_are_none_and_files_that_are_there_are_refused(checkout):
    for name in ("My network", "class", "9net", "../net", "net_tiny"):
        with pytest.raises(UsageError, match="expected a module's name"):
            new_network(name, "image", checkout)
    with pytest.raises(UnblurError, match=r"networks/nafnet\.py: is there already"):
        new_network("nafnet", "image", checkout)
    with pytest.raises(UnblurError, match="is no checkout"):
        new_layout("mine", checkout / "src")
    assert not list(checkout.rglob("*net_tiny_tiny*"))


def test_a_stage_is_in_every_table_and_makes_no_other_stale(checkout):
    config = {"model": {"_target_": "unblur.networks.nafnet.NAFNet"}}
    before = code_of_stages(config, Sources(checkout / "src" / "unblur"))
    written = new_stage("look_closely", checkout)
    assert {str(path.relative_to(checkout)) for path in written} == {
        "dvc.yaml", "src/unblur/cli.py", "src/unblur/pipeline/code.py", "src/unblur/stages/look_closely.py",
    }  # fmt: skip
    assert code_of_stages(config, Sources(checkout / "src" / "unblur")) == before
    stages = yaml.safe_load((checkout / "dvc.yaml").read_text())["stages"]
    assert list(stages)[-1] == "look_closely"
    assert stages["look_closely"]["cmd"] == "unblur look-closely --config artifacts/config/pipeline.yaml"


@pytest.mark.parametrize("name", ["serve", "check_data"])
def test_a_stage_that_is_called_as_a_command_is_refused(checkout, name):
    tables = {path: path.read_bytes() for path in (checkout / "src/unblur/cli.py", checkout / "dvc.yaml")}
    key = name.replace("_", "-")
    with pytest.raises(UsageError, match=rf'^src/unblur/cli\.py: has a line "{key}" already; give .* another name$'):
        new_stage(name, checkout)
    assert {path: path.read_bytes() for path in tables} == tables
    assert not (checkout / "src/unblur/stages/serve.py").exists()


@pytest.mark.pipeline
def test_from_elsewhere_the_paths_are_whole_and_from_another_project_it_is_refused(checkout, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "COLUMNS": "200"}
    environment.pop("UNBLUR_ROOT", None)

    def new(name, folder):
        command = [sys.executable, "-m", "unblur", "new", "layout", name]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    (tmp_path / "other/below").mkdir(parents=True)
    (tmp_path / "other/dvc.yaml").touch()
    done = new("mine", tmp_path / "other/below")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {tmp_path / 'other'}: is another project than {checkout}, whose code this `unblur` runs; "
        "go there, or install the one here with `make venv`\n"
    )
    assert not list(checkout.rglob("mine.*"))
    written = "src/unblur/ingest/layouts/mine.py"
    done = new("mine", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"wrote {checkout / written}"
    assert f"  {checkout / written} " in done.stdout
    assert new("other", checkout / "src").stdout.splitlines()[0] == "wrote src/unblur/ingest/layouts/other.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`made(*arguments)` runs unblur in a checkout with one of each, into which a person has written ten lines."""
    root = copied(tmp_path_factory.mktemp("made") / "checkout")
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}
    for name in ("MLFLOW_TRACKING_URI", "UNBLUR_ROOT"):
        environment.pop(name, None)

    def run(*arguments, module="unblur"):
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    run.root = root
    run("new", "network", "plain")
    run("new", "network", "clip", "--task", "video")
    run("new", "layout", "mine")
    run("new", "stage", "look_closely")
    edit(root / "src/unblur/networks/plain.py", "F.relu(self.conv1(x))", "F.gelu(self.conv1(x))")
    edit(root / "src/unblur/networks/clip.py", "F.relu(self.conv1(x))", "F.gelu(self.conv1(x))")
    edit(root / "src/unblur/ingest/layouts/mine.py", 'scene / "blur"', 'scene / "hazy"')
    edit(root / "tests/ingest/layouts/fake_mine.py", "/blur/", "/hazy/")
    edit(root / "src/unblur/stages/look_closely.py", '"pairs": len(pairs)', '"test_pairs": len(pairs)')
    run("new", "network", "plain", "--values")
    run("new", "network", "clip", "--values")
    return run


@pytest.mark.pipeline
@pytest.mark.slow
def test_the_tests_that_find_what_is_new_by_themselves_pass(made):
    tests = ("networks/test_contract.py", "ingest/layouts/test_layout.py", "compression/test_units.py")
    chosen = ("-k", "plain_tiny or clip_tiny or mine", "-m", "not slow", "-p", "no:cacheprovider", "-q")
    assert " passed" in made(*(f"tests/{each}" for each in tests), *chosen, module="pytest")


@pytest.mark.pipeline
@pytest.mark.slow
def test_from_four_commands_to_a_registered_model(made, tmp_path, make_photo):
    published = tmp_path / "published"
    for seed, scene in enumerate(("train/a", "train/b", "train/c", "test/d")):
        for side in ("hazy", "sharp"):
            path = published / scene / side / "1.png"
            path.parent.mkdir(parents=True)
            photo = Image.fromarray(make_photo(64, 80, seed))
            (photo if side == "sharp" else photo.reduce(2).resize(photo.size)).save(path)
    made("data", "import", "mine", str(published), "--hold-out", "0.4")
    made("compose", *SMOKE, "--out", "artifacts/config/pipeline.yaml", "--code", "artifacts/config/code")
    for stage in (
        "prepare",
        "train",
        "look-closely",
        "evaluate",
        "prune",
        "quantize",
        "export",
        "benchmark",
        "register",
    ):
        made(stage, *SMOKE)
    record = json.loads((made.root / "artifacts/look_closely/look_closely.json").read_text())
    assert record["test_pairs"] == 1
    assert (made.root / "artifacts/registry/MODEL_CARD.md").is_file()
