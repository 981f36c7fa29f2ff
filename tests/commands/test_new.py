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
    "model=plain_tiny", "train.threads=1", "export.formats=[onnx]",
)  # fmt: skip


@pytest.fixture
def checkout(tmp_path):
    """A copy of the repository, as far as `unblur new` and the pipeline read it."""
    copy = tmp_path / "checkout"
    for folder in ("src", "conf", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for file in ("dvc.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, copy / file)
    return copy


@pytest.fixture
def unblur(checkout):
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    for name in ("MLFLOW_TRACKING_URI", "UNBLUR_ROOT"):
        environment.pop(name, None)

    def run(*arguments, module="unblur"):
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run


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


@pytest.mark.pipeline
@pytest.mark.slow
def test_from_four_commands_to_a_registered_model(checkout, unblur, tmp_path, make_photo):
    unblur("new", "network", "plain")
    unblur("new", "network", "clip", "--task", "video")
    unblur("new", "layout", "mine")
    unblur("new", "stage", "look_closely")

    # The ten lines: other equations, another place for the pictures, another figure of the stage.
    edit(checkout / "src/unblur/networks/plain.py", "F.relu(self.conv1(x))", "F.gelu(self.conv1(x))")
    edit(checkout / "src/unblur/networks/clip.py", "F.relu(self.conv1(x))", "F.gelu(self.conv1(x))")
    edit(checkout / "src/unblur/ingest/layouts/mine.py", 'scene / "blur"', 'scene / "hazy"')
    edit(checkout / "tests/ingest/layouts/fake_mine.py", "/blur/", "/hazy/")
    edit(checkout / "src/unblur/stages/look_closely.py", '"pairs": len(pairs)', '"test_pairs": len(pairs)')
    unblur("new", "network", "plain", "--values")
    unblur("new", "network", "clip", "--values")

    tests = (
        "tests/networks/test_contract.py",
        "tests/ingest/layouts/test_layout.py",
        "tests/compression/test_units.py",
    )
    chosen = ("-k", "plain or clip or mine", "-m", "not slow", "-p", "no:cacheprovider", "-q")
    assert " failed" not in unblur(*tests, *chosen, module="pytest")

    published = tmp_path / "published"
    for seed, scene in enumerate(("train/a", "train/b", "train/c", "test/d")):
        for side in ("hazy", "sharp"):
            path = published / scene / side / "1.png"
            path.parent.mkdir(parents=True)
            photo = Image.fromarray(make_photo(64, 80, seed))
            (photo if side == "sharp" else photo.reduce(2).resize(photo.size)).save(path)
    unblur("data", "import", "mine", str(published), "--hold-out", "0.4")
    for stage in ("prepare", "train", "look-closely", "evaluate", "prune", "quantize", "export", "benchmark"):
        unblur(stage, *SMOKE)
    assert json.loads((checkout / "artifacts/look_closely/look_closely.json").read_text())["test_pairs"] == 1
    unblur("compose", *SMOKE, "--out", "artifacts/config/pipeline.yaml", "--code", "artifacts/config/code")
    unblur("register", *SMOKE)
    assert (checkout / "artifacts/registry/MODEL_CARD.md").is_file()
