"""Composition: typed, closed against typos, and told in one line."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml

from unblur.config.compose import check_composed, checked, compose, config_dir, read_params, to_yaml
from unblur.config.schema import PipelineConfig
from unblur.errors import UnblurError, UsageError


def test_defaults_compose_to_the_schema():
    cfg = checked(compose())
    assert cfg.model["_target_"] == "unblur.networks.nafnet.NAFNet"
    assert cfg.data.patch_size > 0
    assert cfg.paths.train == "artifacts/train"


def test_yaml_has_nothing_left_to_interpolate_and_composes_to_the_same():
    text = to_yaml(compose(["experiment=starter"]))
    assert "${" not in text
    assert yaml.safe_load(text)["data"]["name"] == "starter"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle=nafnet", "did you mean 'model'"),
        ("model=nafnt", "did you mean 'nafnet'"),
        ("trainer.max_epoch=3", "did you mean 'trainer.max_epochs'"),
        ("model.widht=16", "did you mean 'model.width'"),
        ("data.batchsize=2", "did you mean 'data.batch_size'"),
        ("sede=1", "did you mean 'seed'"),
        ("experiment=startr", "did you mean 'starter'"),
        ("data.batch_size=many", "data.batch_size"),
        ("seed=tomorrow", "seed"),
        ("nonsense", "KEY=VALUE"),
        ("prune=default", "prune is a section"),
    ],
)
def test_a_typo_is_a_usage_error_that_names_the_nearest_key(override, message):
    with pytest.raises(UsageError, match=message) as caught:
        checked(compose([override]))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.contract
@pytest.mark.parametrize("group", sorted(path.name for path in config_dir().iterdir() if path.is_dir()))
def test_every_option_of_every_group_composes(group):
    for option in sorted(path.stem for path in (config_dir() / group).glob("*.yaml")):
        checked(compose([f"{group}={option}"]))


@pytest.mark.contract
@pytest.mark.parametrize("section", [field.name for field in fields(PipelineConfig)])
def test_a_default_stands_in_one_place(section):
    """A file of conf/ says what differs from the schema, and from the file that it goes on from."""
    known = asdict(PipelineConfig())[section]
    for file in sorted((config_dir() / section).glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        if section == "data":
            content = content.get("data", content)
        base = dict(known)
        if "default" in content.pop("defaults", []):
            base |= yaml.safe_load((file.parent / "default.yaml").read_text(encoding="utf-8"))
        assert [key for key, value in content.items() if key in base and base[key] == value] == [], file


def test_read_params(tmp_path: Path):
    file = tmp_path / "params.yaml"
    file.write_text("overrides: [experiment=smoke, seed=3]\n")
    assert read_params(file) == ["experiment=smoke", "seed=3"]
    for bad in ("overrides: 3\n", "overrides: [1]\n", "a: [\n"):
        file.write_text(bad)
        with pytest.raises(UnblurError, match=r"params\.yaml"):
            read_params(file)


def test_gopro_preset_has_the_papers_settings():
    cfg = checked(compose(["experiment=gopro_nafnet"]))
    assert cfg.model["width"] == 32
    assert cfg.model["encoder_blocks"] == [1, 1, 1, 28]
    assert cfg.optimizer["lr"] == 1e-3
    assert cfg.optimizer["betas"] == [0.9, 0.9]
    assert cfg.trainer["gradient_clip_val"] == 0.01
    assert cfg.data.patch_size == 256
    assert cfg.data.batch_size * 1 == 32
    assert cfg.data.steps_per_epoch * cfg.trainer["max_epochs"] == 200_000


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "a${oc.decode:x}", "${${seed}:x}", "${oc.env:${seed}}"])
def test_a_value_that_reads_the_environment_is_refused(value):
    with pytest.raises(UsageError, match=r"registry\.experiment.*environment"):
        checked(compose([f"registry.experiment='{value}'"]))


@pytest.mark.parametrize("value", ["https://ada:hagebutte61@host/shards", "s3://host/x?token=1", "a vogelbeere17 b"])
def test_a_value_that_holds_a_password_is_refused_and_not_shown(value, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "vogelbeere17")
    with pytest.raises(UsageError, match=r"'data\.shards': holds a password") as caught:
        checked(compose([f"data.shards='{value}'"]))
    assert value not in str(caught.value)


def test_a_value_may_be_that_of_another_key():
    assert checked(compose(["registry.experiment='${registry.model_name}'"])).registry.experiment == "unblur"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("hydra: {callbacks: {}}", "hydra"),
        ("defaults: [other]", "defaults"),
        ("# @package hydra", "@package"),
        ("seed: ${oc.env:HOME}", r"\$\{"),
        ("- a", "YAML"),
        ("seed: 1", "duplicate key seed"),  # of which one reader takes the first and another the last
        ("seed: " + "[" * 3000 + "]" * 3000, "RecursionError"),
    ],
)
def test_a_file_that_compose_did_not_write_is_refused(tmp_path, line, named):
    path = tmp_path / "pipeline.yaml"
    path.write_text(to_yaml(compose()))
    check_composed(path)
    path.write_text(f"{line}\n{to_yaml(compose())}")
    with pytest.raises(UsageError, match=named):
        check_composed(path)
