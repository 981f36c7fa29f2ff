"""An edit runs those stages again that it can reach, and those after them: the cases that matter, on a copy of src/."""

import re
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from unblur.cli import COMMANDS
from unblur.config.compose import compose, config_dir, plain
from unblur.errors import UnblurError
from unblur.pipeline.code import STAGES, WITHOUT, code_of_stages, write_code
from unblur.pipeline.sources import Sources

ROOT = Path(__file__).parents[2]
PIPELINE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
COMPOSED = "artifacts/config/pipeline.yaml"
AFTER_TRAIN = {"train", "evaluate", "prune", "quantize", "export", "benchmark", "explain", "report"}


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("edited") / "unblur"
    shutil.copytree(ROOT / "src" / "unblur", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def edit(package: Path):
    """Change files of the copy; they are put back after the test."""
    before: dict[Path, str | None] = {}

    def change(name: str, old: str = "", new: str = "") -> None:
        path = package / name
        text = path.read_text(encoding="utf-8") if path.is_file() else None
        before.setdefault(path, text)
        if text is not None:
            assert old in text, f"{name} has no {old!r} any more"
            new = text.replace(old, new, 1) if old else text + new
        path.write_text(new, encoding="utf-8")

    yield change
    for path, text in before.items():
        path.unlink() if text is None else path.write_text(text, encoding="utf-8")


@pytest.fixture
def again(package: Path):
    """Tell which stages run again under a configuration: those whose code is another, and those that read theirs."""

    def run_again(*overrides: str) -> set[str]:
        config = plain(compose(["experiment=starter", *overrides]))
        now, before = code_of_stages(config, Sources(package)), as_it_is(overrides)
        return with_those_after(name for name in STAGES if now[name] != before[name])

    return run_again


@cache
def as_it_is(overrides: tuple[str, ...]) -> dict[str, dict[str, str]]:
    return code_of_stages(plain(compose(["experiment=starter", *overrides])))


def with_those_after(changed: Iterable[str]) -> set[str]:
    found = set(changed)
    for name, stage in PIPELINE.items():  # dvc.yaml has them in their order
        made = {out for other in found for out in outs(PIPELINE[other])}
        if made & set(stage.get("deps", [])):
            found.add(name)
    return found


def outs(stage: dict[str, Any]) -> set[str]:
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


def test_comments_and_docstrings_run_nothing_again(package, edit, again):
    for path in sorted(package.rglob("*.py")):
        edit(str(path.relative_to(package)), new='\n\n# A comment.\n"""Words."""\n')
    assert again() == set()


def test_the_template_of_the_report_runs_the_report_again(edit, again):
    edit("reporting/report.html.j2", new="<!-- another line -->\n")
    assert again() == {"report"}


def test_a_plot_of_the_report_runs_the_report_again(edit, again):
    edit("reporting/plots.py", "linewidth=2", "linewidth=3")
    assert again() == {"report"}


def test_what_writes_restored_tiff_files_runs_nothing_again(edit, again):
    edit("restoring/tiff.py", new="\nCHANGED = 1\n")
    assert again() == set()


def test_a_new_network_that_the_configuration_does_not_name_runs_nothing_again(edit, again):
    edit("networks/brandnew.py", new="from torch import nn\n\n\nclass BrandNew(nn.Module):\n    task = 'image'\n")
    assert again() == set()


def test_a_loss_runs_training_again_only_where_it_is_used(edit, again):
    edit("losses/psnr.py", new="\nCHANGED = 1\n")
    assert again("loss=charbonnier") == set()
    assert again("loss=psnr") == AFTER_TRAIN


def test_the_network_that_is_trained_runs_training_and_what_follows_again(edit, again):
    edit("networks/maxim.py", new="\nCHANGED = 1\n")
    assert again() == AFTER_TRAIN
    assert again("model=resunet_tiny") == set()


def test_another_network_does_not_train_again(edit, again):
    edit("networks/uformer.py", new="\nCHANGED = 1\n")
    assert again() == set()
    assert again("model=uformer_tiny") == AFTER_TRAIN


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("commands/restore.py", set()),
        ("safety/videos.py", set()),
        ("registry/gate.py", set()),
        ("data/starter.json", set()),
        ("stages/report.py", {"report"}),
        ("benchmark/table.py", {"benchmark", "report"}),
        ("runtimes/choice.py", {"export", "benchmark", "report"}),
        ("runtimes/mlflow_reference.py", {"export", "benchmark", "report"}),
        ("evaluation/score.py", {"evaluate", "report"}),
        ("compression/prune.py", {"prune", "quantize", "export", "benchmark", "report"}),
        ("training/fit.py", AFTER_TRAIN),
        ("blur/recipe.py", {"prepare", *AFTER_TRAIN}),
        ("ingest/check.py", {"check_data", "prepare", *AFTER_TRAIN}),
    ],
)
def test_an_edit_reaches_those_that_import_it(edit, again, name, expected):
    edit(name, new="\nCHANGED = 1\n")
    assert again() == expected


@pytest.mark.parametrize("name", WITHOUT)
def test_what_is_left_out_is_there(name):
    assert name in Sources().files


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_yaml_takes_the_code_of_each_stage(stage):
    command = PIPELINE[stage]["cmd"].split()[1]
    assert COMMANDS[command].module == f"unblur.stages.{stage}"
    assert {f"artifacts/config/code/{stage}.json": None} in PIPELINE[stage]["params"]
    assert not [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("src")]


def test_dvc_yaml_has_no_other_stages():
    assert set(PIPELINE) == {"compose", *STAGES}
    assert "src/unblur" in PIPELINE["compose"]["deps"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_sections_of_a_stage_are_those_that_dvc_yaml_names(stage):
    config = plain(compose(["experiment=starter"]))
    params = [entry[COMPOSED] for entry in PIPELINE[stage]["params"] if COMPOSED in entry]
    sections = {key.partition(".")[0] for key in params[0]}
    named = {key for key in sections if "_target_" in str(config[key])}
    loads_networks = "training/weights.py" in code_of_stages(config)[stage]
    assert set(STAGES[stage]) == named | ({"model"} if loads_networks else set())


def test_a_stage_has_the_code_of_what_it_calls_of_its_source_alone():
    parts = {
        "check_data": {"ingest/check.py"},
        "prepare": {"data/pairs.py"},
        "train": {"data/datasets.py"},
    }
    imported = {
        "check_data": {"ingest/check_pairs.py", "ingest/imported.py"},
        "prepare": {"ingest/imported_pairs.py", "ingest/imported.py"},
        "train": {"data/paired_crops.py", "ingest/imported.py"},
    }
    every = set().union(*parts.values(), *imported.values())
    for overrides, expected in (((), parts), (("data=gopro",), imported)):
        code = as_it_is(overrides)
        for stage in parts:
            assert "ingest/sources/source.py" in code[stage]
            assert expected[stage] <= set(code[stage])
    assert not (every - parts["check_data"]) & set(as_it_is(())["check_data"])
    assert not {"ingest/check.py", "data/pairs.py", "ingest/imported.py", "data/paired_crops.py"} & set(
        as_it_is(())["train"]
    )
    assert not {"ingest/check.py", "ingest/imported_pairs.py"} & set(as_it_is(("data=gopro",))["train"])


def test_every_class_that_a_preset_names_is_found():
    sources = Sources()
    for path in config_dir().rglob("*.yaml"):
        for target in re.findall(r"_target_: (unblur\.\S+)", path.read_text(encoding="utf-8")):
            assert sources.file_of(target.rpartition(".")[0]), f"{path}: {target}"


def test_what_is_written_is_left_alone_if_it_is_not_ours(tmp_path):
    write_code({"train": {"training/fit.py": "code:1"}}, tmp_path / "code")
    write_code({"report": {}}, tmp_path / "code")
    assert sorted(path.name for path in (tmp_path / "code").glob("*.json") if path.name[0] != ".") == ["report.json"]
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "train.json").write_text("{}")
    with pytest.raises(UnblurError, match="theirs"):
        write_code({"train": {}}, tmp_path / "theirs")
