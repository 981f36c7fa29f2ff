"""What a sweep searches, as its YAML file says it: objectives, number of trials, and the values of each key."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError

from unblur.config.suggest import nearest
from unblur.errors import UsageError
from unblur.safety.secrets import holds_secret, masked
from unblur.sweeping.parameters import Parameter, Values, parameters_of

STORAGE = "UNBLUR_SWEEP_STORAGE"
"""The environment variable with the address of the database, where that has a password or is the same for all."""
Direction = Literal["maximize", "minimize"]
OBJECTIVES = ("val/psnr", "val/gain", "latency_ms", "size_mb")
"""dB on the validation pairs; dB over the blurred input; of a 256 x 256 image where it is deployed; of the weights."""

_EPOCHS = ("trainer", "debug", "experiment", "trainer.max_epochs", "trainer.check_val_every_n_epoch")


@dataclass(frozen=True)
class SamplerSettings:
    """How the next values are chosen; after `startup` trials at random, `tpe` learns from those before."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Literal["tpe", "random"] = "tpe"
    seed: int = 0
    startup: int = 10


@dataclass(frozen=True)
class PrunerSettings:
    """Which trials end early, as they are worse than others were after as many epochs.

    Attributes:
        name: median, hyperband or none; None is median for one objective, none for several.
        startup: trials that run to their end before `median` ends any.
        warmup: epochs before which `median` ends none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Literal["median", "hyperband", "none"] | None = None
    startup: int = 5
    warmup: int = 0


@dataclass(frozen=True)
class SpaceFile:
    """The content of SPACE.yaml."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: str
    space: dict[str, Values]
    objectives: dict[str, Direction] = field(default_factory=lambda: {"val/psnr": "maximize"})
    trials: int = 20
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    pruner: PrunerSettings = field(default_factory=PrunerSettings)
    storage: str | None = None
    overrides: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Space:
    """A sweep that can run: everything in it was composed once.

    Attributes:
        file: that it was read from.
        name: of the study.
        objectives: name -> maximize or minimize; the first is what trials are ended early by.
        trials: that there shall be in the end.
        sampler: how values are chosen.
        pruner: which trials end early.
        storage: address of the database; None is a SQLite file in `folder`.
        overrides: what all trials have in common, those of the command line last.
        parameters: what varies.
        folder: where the trials and the results lie.
        epochs: of a trial, and between two validations, where they do not vary.
        tracked: whether the trainings are logged to MLflow.
        experiment: in MLflow.
    """

    file: Path
    name: str
    objectives: Mapping[str, Direction]
    trials: int
    sampler: SamplerSettings
    pruner: PrunerSettings
    storage: str | None
    overrides: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    folder: Path
    epochs: tuple[int, int] | None
    tracked: bool
    experiment: str

    def described(self) -> dict[str, Any]:
        """Return what may not change while a study goes on, as plain values."""
        return {
            "objectives": dict(self.objectives),
            "overrides": list(self.overrides),
            "space": {each.key: each.described() for each in self.parameters},
        }


def read_space(file: Path, overrides: Sequence[str] = (), trials: int | None = None) -> Space:
    """Read SPACE.yaml, and compose what its trials will compose.

    Args:
        file: the YAML file.
        overrides: of the command line, after those of the file.
        trials: in place of the file's.

    Raises:
        UsageError: a key is unknown or has a value that it cannot have; one line that names the file and the key.
    """
    content = _read(file)
    _check(file, content, trials)
    given = (*content.overrides, *overrides)
    parameters, config = parameters_of(file, content.space, given)
    pruner = content.pruner
    if pruner.name is None:
        pruner = replace(pruner, name="median" if _prunes(content.objectives) else "none")
    varied = {each.key for each in parameters}
    epochs = int(config.trainer.get("max_epochs") or 0), int(config.trainer.get("check_val_every_n_epoch") or 1)
    return Space(
        file=file,
        name=content.name,
        objectives=content.objectives,
        trials=content.trials if trials is None else trials,
        sampler=content.sampler,
        pruner=pruner,
        storage=os.environ.get(STORAGE) or content.storage,
        overrides=given,
        parameters=parameters,
        folder=Path("artifacts/sweeps") / content.name,
        epochs=epochs if epochs[0] > 0 and not varied & set(_EPOCHS) else None,
        tracked=bool(config.logger) and not config.trainer.get("fast_dev_run"),
        experiment=config.registry.experiment,
    )


def _read(file: Path) -> SpaceFile:
    try:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "problem", None) or type(error).__name__
        msg = f"{file}: cannot be read as YAML ({reason}); docs/sweeps.md has an example"
        raise UsageError(msg) from error
    if isinstance(content, dict):  # `pruner: hyperband` is short for `pruner: {name: hyperband}`
        short = {key: {"name": content[key]} for key in ("sampler", "pruner") if isinstance(content.get(key), str)}
        content = {str(key): value for key, value in content.items()} | short
    try:
        return TypeAdapter(SpaceFile).validate_python(content)
    except ValidationError as error:
        msg = f"{file}: {_told(error)}"
        raise UsageError(msg) from error


def _told(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    *outer, last = first["loc"] or ("",)
    key = ".".join(str(part) for part in first["loc"] if part not in ("int", "float"))
    if first["type"] == "missing":
        return f"lacks {key!r}; docs/sweeps.md has an example"
    if first["type"] == "unexpected_keyword_argument":
        kind = {"sampler": SamplerSettings, "pruner": PrunerSettings, "space": Values}.get(str([*outer, ""][0]))
        known = [each.name for each in fields(kind or SpaceFile)]
        return f"there is no key {key!r}{nearest(str(last), known)} ({', '.join(known)})"
    if first["type"] == "dataclass_type":
        return f"{key or 'the file'}: expected keys with values, found {masked(repr(first['input']))[:80]}"
    said = first["msg"].removeprefix("Input should be ")
    return f"{key}: expected {said}, found {masked(repr(first['input']))[:80]}"


def _check(file: Path, content: SpaceFile, trials: int | None) -> None:
    msg = ""
    wrong = [name for name in content.objectives if name not in OBJECTIVES]
    if not re.fullmatch(r"[\w][\w.-]*", content.name):
        msg = f"name: {content.name!r} would be a folder's name; expected letters, digits, dots, - and _"
    elif not content.objectives:
        msg = f"objectives: is empty; name one of {', '.join(OBJECTIVES)}"
    elif wrong:
        known = ", ".join(OBJECTIVES)
        msg = f"objectives: there is no objective {wrong[0]!r}{nearest(wrong[0], OBJECTIVES)} ({known})"
    elif (content.trials if trials is None else trials) < 1:
        msg = f"trials: {content.trials if trials is None else trials}; expected at least 1"
    elif content.sampler.startup < 1:
        msg = f"sampler.startup: {content.sampler.startup}; expected at least 1"
    elif content.pruner.startup < 0 or content.pruner.warmup < 0:
        msg = "pruner: startup and warmup are numbers of trials and of epochs; expected at least 0"
    elif content.pruner.name not in (None, "none") and len(content.objectives) > 1:
        msg = f"pruner: Optuna ends no trial early where there are {len(content.objectives)} objectives; leave it out"
    elif content.pruner.name not in (None, "none") and not _prunes(content.objectives):
        msg = f"pruner: {next(iter(content.objectives))} is not known before a training has ended; leave it out"
    elif content.storage and holds_secret(content.storage):
        msg = f"storage: holds a password; give the address by the environment, as {STORAGE}"
    if msg:
        msg = f"{file}: {msg}"
        raise UsageError(msg)


def _prunes(objectives: Mapping[str, str]) -> bool:
    return len(objectives) == 1 and next(iter(objectives)).startswith("val/")
