"""The one door from configuration to objects: `_target_` runs code, so what it resolves to is checked by identity.

A prefix of the written path is not enough: `torch.nn.functional.torch.load` starts with `torch.nn` and is torch.load.
Here the path is resolved and the object's own module, name and base classes decide.
"""

import functools
import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import hydra.errors
import hydra.utils
from omegaconf import DictConfig, ListConfig, OmegaConf

from unblur.config.suggest import nearest
from unblur.errors import UnblurError

# Only these are imported at all on a configuration's word.
PACKAGES = ("albumentations", "lightning", "torch", "torchmetrics", "unblur")

# Classes of ours that describe a run; stages, the registry and the file-system parts are not among them.
ROOMS = (
    "unblur.blur.",
    "unblur.data.",
    "unblur.ingest.sources.",
    "unblur.losses.",
    "unblur.metrics.",
    "unblur.networks.",
    "unblur.training.",
)

# Single classes of others, by their own names.
NAMED = ("torch.nn.modules.loss.L1Loss",)

# Classes of others: by package and by what they derive from.
BASES = {
    "torch.optim.optimizer.Optimizer": "torch.optim.",
    "torch.optim.lr_scheduler.LRScheduler": "torch.optim.",
    "lightning.pytorch.trainer.trainer.Trainer": "lightning.",
    "lightning.pytorch.callbacks.callback.Callback": "lightning.",
    "lightning.fabric.loggers.logger.Logger": "lightning.",
    "lightning.pytorch.strategies.strategy.Strategy": "lightning.",
    "albumentations.core.transforms_interface.BasicTransform": "albumentations.",
    "torchmetrics.metric.Metric": "torchmetrics.",
}


def instantiate(node: Mapping[str, Any] | DictConfig, **extra: Any) -> Any:  # noqa: ANN401
    """Build what `node` describes: `_target_` is its class, the other keys are its arguments.

    Args:
        node: a section of the configuration; nested sections with `_target_` are built too.
        extra: more keyword arguments for the outermost class.

    Raises:
        UnblurError: a `_target_` is missing, does not exist, is not an allowed class, or refuses its arguments.
    """
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig | ListConfig) else dict(node)
    if not isinstance(plain, dict) or "_target_" not in plain:
        msg = f"this section of the configuration names no class: expected a key '_target_' in {plain!r}"
        raise UnblurError(msg)
    for target in _targets(plain):
        resolve_target(target)
    try:
        if not extra:
            return hydra.utils.instantiate(plain, _convert_="all")
        # Hydra would copy the extra objects into a configuration; a partial takes them as they are.
        build = hydra.utils.instantiate({**plain, "_partial_": True}, _convert_="all")
        return functools.partial(build, **extra) if plain.get("_partial_") else build(**extra)
    except (hydra.errors.InstantiationException, TypeError) as error:
        if isinstance(error.__cause__, UnblurError):
            raise error.__cause__ from error
        msg = f"{plain['_target_']} cannot be built: {_reason(error, resolve_target(plain['_target_']))}"
        raise UnblurError(msg) from error


def resolve_target(path: object) -> type:
    """Return the class at the dotted `path`.

    Raises:
        UnblurError: there is no such thing, or its identity is not on the list of what a configuration may build.
    """
    if not isinstance(path, str) or path.split(".")[0] not in PACKAGES:
        msg = f"_target_ {path!r} is refused: only classes of {', '.join(PACKAGES)} may be built from a configuration"
        raise UnblurError(msg)
    found = _locate(path)
    if not inspect.isclass(found) or not _allowed(found):
        is_what = f"{getattr(found, '__module__', '?')}.{getattr(found, '__qualname__', type(found).__qualname__)}"
        msg = (
            f"_target_ {path!r} is refused: it is {is_what}, which is not a class that a configuration may build "
            f"(networks, losses, sources, recipes, optimizers, schedulers, callbacks, loggers, trainers)"
        )
        raise UnblurError(msg)
    return found


def _allowed(found: type) -> bool:
    module = f"{found.__module__}."
    if module.startswith("unblur."):
        return module.startswith(ROOMS)
    if f"{module}{found.__qualname__}" in NAMED:
        return True
    ancestors = {f"{base.__module__}.{base.__qualname__}" for base in inspect.getmro(found)}
    return any(base in ancestors and module.startswith(package) for base, package in BASES.items())


def _locate(path: str) -> object:
    """Import the longest module of the path, then take attributes."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        try:
            found: object = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                msg = f"_target_ {path!r} needs the package {error.name!r}, which is not installed"
                raise UnblurError(msg) from error
            continue
        for index, attribute in enumerate(parts[end:], start=end):
            if not hasattr(found, attribute):
                owner = ".".join(parts[:index])
                msg = f"_target_ {path!r}: {owner} has no {attribute!r}{nearest(attribute, dir(found))}"
                raise UnblurError(msg)
            found = getattr(found, attribute)
        return found
    msg = f"_target_ {path!r}: there is no such module"
    raise UnblurError(msg)


def _targets(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value["_target_"]
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _targets(inner)


def _reason(error: Exception, found: type) -> str:
    cause = error.__cause__ or error
    text = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if isinstance(cause, TypeError) and "unexpected keyword argument" in text:
        wrong = text.rsplit("'", 2)[-2]
        text += nearest(wrong, inspect.signature(found).parameters)
    return text
