"""What a sweep varies: keys of the configuration and groups of conf/, each with the values that it may take."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict

from unblur.config.compose import checked, compose, config_dir
from unblur.config.root import require_inside
from unblur.config.schema import PipelineConfig
from unblur.errors import UsageError

if TYPE_CHECKING:
    from optuna.trial import Trial

Scalar = str | int | float | bool | None
MOST_COMBINATIONS = 64
"""Of the options of groups, each of which is composed once before anything is trained."""


@dataclass(frozen=True)
class Values:
    """The values of one key, as SPACE.yaml names them: from `low` to `high`, or one of `choices`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None
    choices: list[Any] | None = None


@dataclass(frozen=True)
class Parameter:
    """One key or group and its values; a whole number stays one.

    Attributes:
        key: of the configuration, or a group's name.
        choices: its values; empty for a range.
        low: the range's least value.
        high: its greatest, included.
        step: between two values; None is any value between, or for whole numbers 1.
        log: whether the logarithm is what is drawn evenly.
        whole: whether it is a whole number.
    """

    key: str
    choices: tuple[Scalar, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    whole: bool = False

    def suggest(self, trial: "Trial") -> Scalar:
        """Return the value that this trial has."""
        if self.choices:
            value: Scalar = trial.suggest_categorical(self.key, self.choices)
            return value
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)

    def override(self, value: Scalar) -> str:
        """Return the override that gives the key this value."""
        return f"{self.key}={written(value)}"

    def ends(self) -> tuple[Scalar, ...]:
        """Return every choice, or the ends of the range."""
        if self.choices:
            return self.choices
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)

    def described(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "choices": list(self.choices)}


def parameters_of(
    file: Path, space: Mapping[str, Values], overrides: Sequence[str]
) -> tuple[tuple[Parameter, ...], PipelineConfig]:
    """Return what varies, and the configuration of its first values; each choice and each end was composed.

    Args:
        file: that messages name.
        space: the values of each key.
        overrides: what all trials have in common.

    Raises:
        UsageError: a key does not exist, or a value is none that it can have.
    """
    if not space:
        msg = f"{file}: space: is empty; name the keys to search, such as optimizer.lr: {{low: 1e-5, high: 1e-3}}"
        raise UsageError(msg)
    for key, values in space.items():
        _check_key(f"{file}: space.{key}", key, overrides)
        _check_values(f"{file}: space.{key}", values)
    _check_common(file, overrides)
    groups = [
        Parameter(key, choices=tuple(values.choices or ())) for key, values in space.items() if key in group_names()
    ]
    for group in groups:
        if not group.choices:
            msg = f"{file}: space.{group.key}: is a group of conf/; give choices, such as [{_options(group.key)[0]}]"
            raise UsageError(msg)
        for choice in group.choices:  # before they are taken together, so that the wrong one is named
            _composed(f"{file}: space.{group.key}", [*overrides, group.override(choice)])
    first = [group.override(group.choices[0]) for group in groups]
    config, _ = _composed(str(file), [*overrides, *first])
    found = tuple(
        next((group for group in groups if group.key == key), None)
        or _typed(f"{file}: space.{key}", key, values, config, [*overrides, *first])
        for key, values in space.items()
    )
    tried = [_composed(where, [*overrides, *chosen])[1] for where, chosen in _tries(file, found)]
    require_inside(tried[0].paths)
    if any("strategy" in each.trainer for each in tried):
        msg = f"{file}: a sweep starts no distributed trainings; take trainer=cpu or trainer=gpu, and --workers"
        raise UsageError(msg)
    return found, tried[0]


def written(value: object) -> str:
    """Return a value as Hydra reads it in an override."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in (
            "null",
            "true",
            "false",
            "nan",
            "inf",
        )
        return value if plain else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{written(inner)}' for key, inner in value.items())}}}"
    return repr(value)


def group_names() -> set[str]:
    """Return the names of the groups of conf/."""
    return {folder.name for folder in config_dir().iterdir() if folder.is_dir()}


def _options(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


def _check_key(where: str, key: str, overrides: Sequence[str]) -> None:
    msg = ""
    if key.partition(".")[0] in ("paths", "logger", "hydra") or key.startswith(("hydra/", "registry.")):
        msg = "decides nothing of a model; a sweep gives each trial folders of its own, and its runs one parent"
    elif not re.fullmatch(r"\w+(\.\w+)*", key):
        msg = "is no key of the configuration; expected one such as optimizer.lr, or a group such as model"
    elif any(each.lstrip("+~").partition("=")[0] == key for each in overrides):
        msg = "is searched, and given as an override too; leave one of them out"
    if msg:
        msg = f"{where}: {msg}"
        raise UsageError(msg)


def _check_values(where: str, values: Values) -> None:
    low, high, step = values.low, values.high, values.step
    msg = ""
    if values.choices is not None and (low, high, step, values.log) != (None, None, None, False):
        msg = "has choices, and a range too; give choices, or low and high"
    elif values.choices is not None:
        if not values.choices:
            msg = "choices: is empty; give at least one value"
        elif len(set(map(written, values.choices))) < len(values.choices):
            msg = "choices: has the same value twice"
    elif low is None or high is None:
        msg = "expected low and high, or choices"
    elif not low < high:
        msg = f"low: {low} is not below high: {high}"
    elif values.log and low <= 0:
        msg = f"low: {low} has no logarithm; expected more than 0, or log: false"
    elif values.log and step is not None:
        msg = "log and step do not go together; leave one of them out"
    elif step is not None and not 0 < step <= high - low:
        msg = f"step: {step}; expected more than 0, and no more than high - low"
    elif step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        reached = round(low + (high - low) // step * step, 12)
        msg = f"high: {high} is not reached from {low} in steps of {step}; take {reached}"
    if msg:
        msg = f"{where}: {msg}"
        raise UsageError(msg)


def _check_common(file: Path, overrides: Sequence[str]) -> None:
    for each in overrides:
        key = each.lstrip("+~").partition("=")[0]
        if key.startswith("hydra") or "@hydra" in key:
            msg = f"{file}: override {each!r}: Hydra's own keys cannot be set in a sweep"
            raise UsageError(msg)
        if key in ("paths.train", "paths.checkpoints"):
            msg = f"{file}: override {each!r}: a sweep gives each trial folders of its own; leave it out"
            raise UsageError(msg)


def _typed(where: str, key: str, values: Values, config: DictConfig, overrides: Sequence[str]) -> Parameter:
    """Return the parameter of a key that is no group, held against the value that it has in the configuration."""
    if OmegaConf.select(config, key, throw_on_missing=False) is None and not _exists(config, key):
        _composed(where, [*overrides, f"{key}={written(_one_of(values))}"])  # which names the nearest key
    present = OmegaConf.select(config, key)
    number = isinstance(present, int | float) and not isinstance(present, bool)
    if isinstance(present, DictConfig):
        inner = sorted(map(str, present))
        msg = f"{where}: is a section; search its keys, such as {key}.{inner[0]}" if inner else f"{where}: is a section"
        raise UsageError(msg)
    if values.choices is not None:
        for choice in values.choices:
            if number and (isinstance(choice, bool) or not isinstance(choice, int | float | None)):
                msg = f"{where}: choices: {choice!r} is no number, and the configuration has {present!r} there"
                raise UsageError(msg)
        if all(isinstance(choice, Scalar) for choice in values.choices):
            return Parameter(key, choices=tuple(values.choices))
        return _Written(key, choices=tuple(map(written, values.choices)))
    if present is not None and not number:
        shown = OmegaConf.to_container(present) if OmegaConf.is_config(present) else present
        msg = f"{where}: the configuration has {shown!r} there, which is no number; give choices"
        raise UsageError(msg)
    bounds = [each for each in (values.low, values.high, values.step) if each is not None]
    whole = not isinstance(present, float) and all(isinstance(each, int) for each in bounds)
    if isinstance(present, int) and not whole:
        msg = f"{where}: the configuration has a whole number there, {present}; give whole low, high and step"
        raise UsageError(msg)
    low, high = (float(each or 0) for each in (values.low, values.high))
    return Parameter(key, low=low, high=high, step=values.step, log=values.log, whole=whole)


class _Written(Parameter):
    """Choices that are lists or sections: Optuna knows them by their text, which is what the override holds."""

    def override(self, value: Scalar) -> str:
        return f"{self.key}={value}"


def _one_of(values: Values) -> object:
    return values.choices[0] if values.choices else values.low


def _exists(config: DictConfig, key: str) -> bool:
    parent, _, name = key.rpartition(".")
    found = OmegaConf.select(config, parent) if parent else config
    return isinstance(found, DictConfig) and name in found


def _tries(file: Path, parameters: Sequence[Parameter]) -> Iterator[tuple[str, list[str]]]:
    """Yield what is composed beforehand, and whose mistake it would be."""
    groups = [each for each in parameters if each.key in group_names()]
    keys = [each for each in parameters if each not in groups]
    together = itertools.product(*(group.choices for group in groups))
    for number, chosen in enumerate(itertools.islice(together, MOST_COMBINATIONS)):
        options = [group.override(choice) for group, choice in zip(groups, chosen, strict=True)]
        yield (
            f"{file}: space ({', '.join(options) or 'first values'})",
            [*options, *(each.override(each.ends()[0]) for each in keys)],
        )
        for each in keys if number == 0 else ():
            for value in each.ends():
                others = [other.override(other.ends()[0]) for other in keys if other is not each]
                yield f"{file}: space.{each.key}: {written(value)}", [*options, *others, each.override(value)]


def _composed(where: str, overrides: Sequence[str]) -> tuple[DictConfig, PipelineConfig]:
    try:
        config = compose(overrides)
        return config, checked(config)
    except UsageError as error:
        msg = f"{where}: {error}"
        raise UsageError(msg) from error
