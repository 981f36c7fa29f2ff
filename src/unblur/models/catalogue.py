"""The models that can be had by name: one file each in `entries/`, with where it comes from and what it is worth."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from unblur.config.root import user_cache
from unblur.errors import UnblurError

CHAMPION = "models:/unblur@champion"  # what is taken where no model is named; where there is none, BOX
BOX, FAST = "box", "box_fast"  # the models that come with unblur

ROOM = Path(str(files("unblur.models")))


@dataclass(frozen=True)
class Figure:
    """One score: `value` with its unit of `metric` on `data`, and `where` it stands."""

    metric: str
    data: str
    value: str
    where: str


@dataclass(frozen=True)
class Model:
    """An entry of the catalogue.

    `parameters` is None where the network is not yet known. `stages` is None unless the name chooses how many.
    `source` is one of npm (a package and its version), url, or wheel (comes with unblur); `file` is the name of what
    comes from there, of `bytes` and `sha256`, which are None for a model that is planned. `reads` is onnx or maxim.
    It sees photographs at `reduction` times fewer pixels along each side (`runtimes/reduced.py`).
    `reference` names a file in `references/` with inputs and the outputs that belong to them, `x` and `y`.
    """

    name: str
    task: str
    network: str
    parameters: int | None
    licence: str
    trained_on: str
    published: tuple[Figure, ...]
    own: tuple[Figure, ...]
    source: Mapping[str, str]
    file: str
    bytes: int | None
    sha256: str | None
    reads: str
    reference: Path | None = None
    stages: int | None = None
    reduction: int = 1

    @property
    def in_wheel(self) -> bool:
        """Whether it comes with unblur itself."""
        return "wheel" in self.source

    @property
    def path(self) -> Path:
        """Where its file is, or would be: in the package, or in the user's cache folder."""
        if self.in_wheel:
            return ROOM / "weights" / self.source["wheel"] / self.file
        return user_cache() / "models" / self.file

    @property
    def planned(self) -> bool:
        """Whether it is to come with unblur, but not yet with this version."""
        return self.in_wheel and not (self.sha256 and self.path.is_file())


def catalogue() -> list[Model]:
    """Return every entry, by name; of a network in stages the whole one, then those with fewer."""
    return [each for path in sorted((ROOM / "entries").glob("*.yaml")) for each in _read(path)]


def is_known(name: str) -> bool:
    """Tell a name of the catalogue from a path."""
    return any(model.name == name for model in catalogue())


def find(name: str) -> Model:
    """Return the entry of this name.

    Raises:
        UnblurError: there is none.
    """
    models = {model.name: model for model in catalogue()}
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`unblur models` lists them"
        msg = f"{name}: no model of that name; {hint}"
        raise UnblurError(msg)
    return models[name]


def _read(path: Path) -> list[Model]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in ("published", "own"):
        content[key] = tuple(Figure(**{k: str(v) for k, v in figure.items()}) for figure in content[key])
    if "reference" in content:
        content["reference"] = ROOM / "references" / content["reference"]
    parameters = content.pop("parameters")
    if not isinstance(parameters, dict):
        return [Model(name=path.stem, parameters=parameters, **content)]
    most = max(parameters)
    network = content.pop("network")
    whole = Model(
        name=path.stem, network=network.format(stages=most), parameters=parameters[most], stages=most, **content
    )
    # The figures and the reference are those of the whole network.
    fewer = replace(whole, published=(), own=(), reference=None)
    return [whole] + [
        replace(
            fewer,
            name=f"{path.stem}-{stages}",
            network=network.format(stages=stages),
            parameters=parameters[stages],
            stages=stages,
        )
        for stages in sorted(parameters, reverse=True)
        if stages != most
    ]
