"""Composition: Hydra's groups and overrides become one checked configuration."""

import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unblur.config.renamed import as_called_now
from unblur.config.schema import PipelineConfig
from unblur.config.suggest import nearest
from unblur.errors import UnblurError, UsageError
from unblur.safety.secrets import holds_secret

ConfigStore.instance().store(name="schema", node=PipelineConfig)

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException)


def config_dir() -> Path:
    """Return the folder of the configuration groups: conf/ inside an installed wheel, else the repository's."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    msg = f"the configuration groups are missing: neither {package / 'conf'} nor the repository's conf/ is there"
    raise UnblurError(msg)


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose conf/config.yaml with `overrides`, checked against the schema.

    Raises:
        UsageError: an override names a key, group or value that does not exist; the nearest valid one is named.
    """
    overrides = as_called_now(overrides)
    try:
        return _compose(overrides)
    except COMPOSITION_ERRORS as error:
        raise composition_error(error, overrides) from error


def checked(config: DictConfig) -> PipelineConfig:
    """Return `config` as schema objects, every interpolation resolved and every type checked.

    Raises:
        UsageError: a value is of the wrong type, reads the environment or holds a password: what is composed is
            tracked and logged.
    """
    try:
        _check_values(OmegaConf.to_container(config, resolve=False))
        merged = OmegaConf.merge(OmegaConf.structured(PipelineConfig), config)
        OmegaConf.resolve(merged)
        return cast("PipelineConfig", OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise composition_error(error, ()) from error


def to_yaml(config: DictConfig) -> str:
    """Return the composed configuration as plain YAML, nothing left to interpolate."""
    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)


def plain(config: DictConfig) -> dict[str, Any]:
    """Return the composed configuration as dictionaries, lists and values, nothing left to interpolate."""
    return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))


def is_composed(path: Path) -> bool:
    """Say whether a file is a composed configuration, of this version or another."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return False
    return isinstance(content, dict) and {"seed", "data", "model", "trainer", "paths"} <= content.keys()


def check_composed(path: Path) -> None:
    """Refuse a file that is not what `unblur compose` writes: Hydra would build whatever its section `hydra` names.

    Raises:
        UsageError: the file is no YAML, or has other keys, an interpolation or a Hydra header.
    """
    again = "write one with `unblur compose --out FILE.yaml`"
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        msg = f"{path}: cannot be read as YAML ({type(error).__name__}); {again}"
        raise UsageError(msg) from error
    keys = {field.name for field in fields(PipelineConfig)}
    foreign = [str(key) for key in content if key not in keys] if isinstance(content, dict) else ["no keys at all"]
    foreign += [mark for mark in ("@package", "${") if mark in text]
    if foreign:
        msg = f"{path}: holds {', '.join(foreign[:3])}, which no composed configuration has; {again}"
        raise UsageError(msg)
    try:
        OmegaConf.load(path)  # as Hydra will: it refuses more
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        msg = f"{path}: cannot be read as YAML ({getattr(error, 'problem', None) or type(error).__name__}); {again}"
        raise UsageError(msg) from error


def _check_values(value: object, key: str = "") -> None:
    """Let values refer to other keys alone: `${data.frames}`, but not `${oc.env:NAME}`; and hold no password."""
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _check_values(inner, f"{key}.{name}".lstrip("."))
    elif isinstance(value, str) and "${" in re.sub(r"\$\{[\w.]+\}", "", value):
        msg = f"configuration key {key!r}: reads more than another key, such as the environment; write the value itself"
        raise UsageError(msg)
    elif isinstance(value, str) and holds_secret(value):
        msg = f"configuration key {key!r}: holds a password or another secret, which would be tracked and logged; "
        raise UsageError(msg + "give it by the environment, such as AWS_SECRET_ACCESS_KEY")


def read_params(path: Path) -> list[str]:
    """Return the list `overrides` of a params.yaml."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        msg = f"{path}: cannot be read as YAML ({str(error).splitlines()[0]}); expected `overrides: [group=option]`"
        raise UnblurError(msg) from error
    overrides = content.get("overrides", []) if isinstance(content, dict) else None
    if not isinstance(overrides, list) or not all(isinstance(item, str) for item in overrides):
        msg = f"{path}: expected `overrides:` with a list of Hydra overrides such as 'model=nafnet'"
        raise UnblurError(msg)
    return overrides


def composition_error(error: Exception, overrides: Sequence[str]) -> UsageError:
    """Turn Hydra's or OmegaConf's error into one line that names the nearest valid key."""
    for override in overrides:
        if found := _explain_override(override, overrides):
            return UsageError(found)
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    key = getattr(cause, "full_key", None)
    text = lines[0] if lines else type(error).__name__
    return UsageError(f"configuration key {key!r}: {text}" if key and key not in text else f"configuration: {text}")


def _explain_override(override: str, given: Sequence[str]) -> str | None:
    """Say what is wrong with one override, or None if its key exists."""
    key, found, value = override.partition("=")
    name = key.lstrip("+~").partition("@")[0]
    if not found and not override.startswith("~"):
        return f"override {override!r}: expected KEY=VALUE"
    groups = {folder.name: folder for folder in config_dir().iterdir() if folder.is_dir()}
    if name in groups:
        options = sorted(path.stem for path in groups[name].glob("*.yaml"))
        chosen = value.strip("'\"")
        if chosen in {*options, "null"} or any(mark in chosen for mark in ",(["):
            return None
        return (
            f"override {override!r}: {name} has no option {chosen!r}{nearest(chosen, options)} ({', '.join(options)})"
        )
    if override.startswith(("+", "~")) or name.startswith("hydra") or "/" in name:
        return None
    keys = _known_keys([item for item in _group_choices(given) if item != override])
    if name in keys:
        inner = sorted(item for item in keys if item.startswith(f"{name}."))
        wrong = bool(inner) and not value.startswith("{")
        return f"override {override!r}: {name} is a section; set its keys, such as {inner[0]}" if wrong else None
    parent = name.rpartition(".")[0]
    siblings = [item for item in keys if item.rpartition(".")[0] == parent] or list(keys)
    same = [item for item in keys if item.rpartition(".")[2] == name.rpartition(".")[2]]
    hint = nearest(name, same) or nearest(name, siblings) or nearest(name, [*keys, *groups])
    return f"override {override!r}: there is no key {name!r}{hint}"


def _group_choices(given: Sequence[str]) -> list[str]:
    """The overrides, also those of this process, that choose a group's option: they decide which keys exist."""
    groups = {folder.name for folder in config_dir().iterdir() if folder.is_dir()}
    pattern = re.compile(r"^\+?(\w+)=([\w/]+)$")
    items = dict.fromkeys([*sys.argv[1:], *given])
    return [item for item in items if (found := pattern.match(item)) and found[1] in groups]


def _known_keys(choices: Sequence[str]) -> set[str]:
    try:
        content: Any = OmegaConf.to_container(_compose(choices), resolve=False)
    except COMPOSITION_ERRORS:
        content = OmegaConf.to_container(_compose(()), resolve=False)
    keys: set[str] = set()

    def collect(value: object, prefix: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                keys.add(f"{prefix}{name}")
                collect(inner, f"{prefix}{name}.")

    collect(content, "")
    return keys


def _compose(overrides: Sequence[str]) -> DictConfig:
    with initialize_config_dir(config_dir=str(config_dir()), version_base="1.3"):
        return hydra_compose(config_name="config", overrides=list(overrides))
