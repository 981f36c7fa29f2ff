"""SPACE.yaml: what it means, and that each mistake in it is one line that names the file and the key."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.errors import UsageError
from unblur.sweeping.parameters import Parameter, written
from unblur.sweeping.space import STORAGE, read_space


def told(file, *overrides):
    with pytest.raises(UsageError) as caught:
        read_space(file, overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_numbers_take_the_kind_that_the_configuration_has(space_file):
    given = {
        "optimizer.lr": {"low": "1e-4", "high": "1e-2", "log": True},  # as YAML 1.1 reads 1e-4: a text
        "train.init_share": {"low": 0, "high": 1},
        "data.batch_size": {"low": 1, "high": 4},
        "train.channels_last": {"choices": [True, False]},
        "optimizer.betas": {"choices": [[0.9, 0.99], [0.9, 0.999]]},
        "model": {"choices": ["nafnet_tiny", "resunet_tiny"]},
    }
    found = {each.key: each for each in read_space(space_file(space=given)).parameters}
    assert found["optimizer.lr"] == Parameter("optimizer.lr", low=1e-4, high=1e-2, log=True)
    assert not found["train.init_share"].whole  # 0.0 in the configuration
    assert found["data.batch_size"].whole
    assert found["train.channels_last"].choices == (True, False)
    assert found["optimizer.betas"].override("[0.9,0.99]") == "optimizer.betas=[0.9,0.99]"
    assert found["model"].override("nafnet_tiny") == "model=nafnet_tiny"


@pytest.mark.parametrize(
    "value", ["plain", "with space", "it's", "null", "3", "a,b", "", 3, 0.1, 1e-05, True, None, [1, "b c"]]
)
def test_what_is_written_is_what_hydra_reads(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    read = OverridesParser.create().parse_override(f"key={written(value)}").value()
    assert read == value
    assert type(read) is type(value) or type(read).__name__ == "QuotedString" or isinstance(value, list)


def test_the_defaults_prune_one_objective_and_not_several(space_file):
    assert read_space(space_file()).pruner.name == "median"
    assert read_space(space_file(pruner="hyperband")).pruner.name == "hyperband"
    two = {"val/psnr": "maximize", "latency_ms": "minimize"}
    assert read_space(space_file(objectives=two)).pruner.name == "none"
    assert "Optuna ends no trial early where there are 2 objectives" in told(
        space_file(objectives=two, pruner="median")
    )


def test_a_database_comes_from_the_environment_and_no_password_from_the_file(space_file, monkeypatch):
    file = space_file(storage="postgresql://ada:secret@db/sweeps")
    assert told(file).endswith(f"storage: holds a password; give the address by the environment, as {STORAGE}")
    assert "secret" not in told(file)
    monkeypatch.setenv(STORAGE, "postgresql://ada:secret@db/sweeps")
    assert read_space(space_file()).storage == "postgresql://ada:secret@db/sweeps"


WRONG = {
    "unknown key of the file": ({"trails": 3}, "there is no key 'trails'; did you mean 'trials'?"),
    "no name": ({"name": None}, "lacks 'name'"),
    "a path as a name": ({"name": "../up"}, "name: '../up' would be a folder's name"),
    "objective": (
        {"objectives": {"val/pnsr": "maximize"}},
        "there is no objective 'val/pnsr'; did you mean 'val/psnr'?",
    ),
    "direction": (
        {"objectives": {"val/psnr": "up"}},
        "objectives.val/psnr: expected 'maximize' or 'minimize', found 'up'",
    ),
    "no objectives": ({"objectives": {}}, "objectives: is empty"),
    "trials": ({"trials": 0}, "trials: 0; expected at least 1"),
    "sampler": ({"sampler": "tpee"}, "sampler.name: expected 'tpe' or 'random', found 'tpee'"),
    "sampler's key": ({"sampler": {"sede": 1}}, "there is no key 'sampler.sede'; did you mean 'seed'?"),
    "pruner of an unknown": (
        {"objectives": {"size_mb": "minimize"}, "pruner": "median"},
        "pruner: size_mb is not known",
    ),
    "empty space": ({"space": {}}, "space: is empty"),
    "space is a list": ({"space": ["optimizer.lr"]}, "space: expected a valid dictionary"),
    "key": (
        {"space": {"optimizer.lrr": {"low": 1e-4, "high": 1}}},
        "space.optimizer.lrr: override 'optimizer.lrr=0.0001': "
        "there is no key 'optimizer.lrr'; did you mean 'optimizer.lr'?",
    ),
    "key of another network": (
        {"space": {"model.reduction": {"choices": [1, 2]}}},
        "there is no key 'model.reduction'",
    ),
    "key of a range": (
        {"space": {"optimizer.lr": {"low": 1e-4, "hihg": 1}}},
        "'space.optimizer.lr.hihg'; did you mean 'high'?",
    ),
    "no values": ({"space": {"optimizer.lr": {}}}, "space.optimizer.lr: expected low and high, or choices"),
    "turned round": ({"space": {"optimizer.lr": {"low": 1, "high": 1e-4}}}, "low: 1 is not below high: 0.0001"),
    "no logarithm": ({"space": {"optimizer.lr": {"low": 0, "high": 1, "log": True}}}, "low: 0 has no logarithm"),
    "log and step": ({"space": {"optimizer.lr": {"low": 1, "high": 3, "log": True, "step": 1}}}, "log and step"),
    "step": ({"space": {"optimizer.lr": {"low": 0, "high": 1, "step": 2}}}, "step: 2; expected more than 0"),
    "step past the end": ({"space": {"optimizer.lr": {"low": 0, "high": 1, "step": 0.3}}}, "take 0.9"),
    "both": ({"space": {"optimizer.lr": {"low": 0, "high": 1, "choices": [1]}}}, "has choices, and a range too"),
    "empty choices": ({"space": {"optimizer.lr": {"choices": []}}}, "space.optimizer.lr: choices: is empty"),
    "twice": ({"space": {"optimizer.lr": {"choices": [1, 1]}}}, "has the same value twice"),
    "a word for a number": ({"space": {"optimizer.lr": {"choices": ["fast"]}}}, "'fast' is no number"),
    "wrong type": (
        {"space": {"data.batch_size": {"low": 1, "high": 2.5}}},
        "space.data.batch_size: the configuration has a whole number there, 2;",
    ),
    "a number for a word": (
        {"space": {"data.task": {"low": 1, "high": 2}}},
        "space.data.task: the configuration has 'image'",
    ),
    "a section": (
        {"space": {"optimizer": {"low": 1, "high": 2}}},
        "space.optimizer: is a group of conf/; give choices",
    ),
    "a section that is no group": (
        {"space": {"data.severity": {"low": 1, "high": 2}}},
        "data.severity: is a section; search",
    ),
    "option": (
        {"space": {"model": {"choices": ["nafnet_tiny", "nafnet_smal"]}}},
        "no option 'nafnet_smal'; did you mean 'nafnet_small'?",
    ),
    "paths": ({"space": {"paths.train": {"choices": ["a", "b"]}}}, "space.paths.train: decides nothing of a model"),
    "hydra": ({"space": {"hydra.run.dir": {"choices": ["a"]}}}, "decides nothing of a model"),
    "given too": ({"overrides": ["experiment=smoke", "optimizer.lr=1"]}, "is searched, and given as an override too"),
    "override": ({"overrides": ["experiment=smok"]}, "experiment has no option 'smok'; did you mean 'smoke'?"),
    "hydra's own": (
        {"overrides": ["+hydra.callbacks.x._target_=os.mkdir"]},
        "Hydra's own keys cannot be set in a sweep",
    ),
    "folders": ({"overrides": ["paths.train=mine"]}, "a sweep gives each trial folders of its own"),
    "distributed": ({"overrides": ["experiment=smoke", "trainer=ddp_cpu"]}, "a sweep starts no distributed trainings"),
    "outside": ({"overrides": ["experiment=smoke", "paths.prepared=/etc"]}, "leads out of the project"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_space_is_one_line_before_anything_is_trained(case, space_file, project):
    keys, line = WRONG[case]
    file = space_file(**keys)
    said = told(file)
    assert line in said
    assert said.startswith((str(file), "paths."))
    assert not (project / "artifacts/sweeps").exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "space.yaml: cannot be read as YAML (No such file or directory)"),
        ("name: [", "space.yaml: cannot be read as YAML"),
        ("- name", "space.yaml: the file: expected keys with values, found ['name']"),
        ("", "space.yaml: lacks 'name'"),
        ("name: a\nname: b\n", "found duplicate key name"),
    ],
)
def test_a_file_that_is_no_space_is_one_line(content, line, tmp_path):
    file = tmp_path / "space.yaml"
    if content is not None:
        file.write_text(content)
    assert line in told(file)


def test_the_command_ends_with_2_and_one_line(space_file, project):
    file = space_file(space={"optimizer.lrr": {"low": 1, "high": 2}})
    done = subprocess.run([sys.executable, "-m", "unblur", "sweep", str(file)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {file}: space.optimizer.lrr: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml")), ids=lambda file: file.stem
)
def test_every_space_of_the_project_can_be_searched(file, project):
    space = read_space(file)
    assert space.name == file.stem
    assert space.parameters


def test_the_example_of_the_page_can_be_searched(project, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "space.yaml").write_text(example)
    assert len(read_space(tmp_path / "space.yaml").parameters) == 4
