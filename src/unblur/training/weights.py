"""A trained model on disk: model.safetensors and the config.json that rebuilds its network. No pickle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

from unblur.config.instantiate import instantiate
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.hashing import LISTING, read_listed, sha256_file, write_listing

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PARENTS = Path(__file__).with_name("parents")


@dataclass(frozen=True)
class About:
    """What weights are called, and the licence that they are under; empty where nobody wrote it down."""

    name: str = ""
    licence: str = ""


def folder_of(model: str) -> Path:
    """Return the folder of a model that a training is given: `model` is its path, or the name of one in `PARENTS`.

    Raises:
        UnblurError: it is neither.
    """
    names = sorted(folder.name for folder in PARENTS.glob("*") if folder.is_dir())
    if model in names:
        return PARENTS / model
    if not Path(model).is_dir():
        known = ", ".join(names) or "none with the wheel, box with the repository"
        msg = (
            f"{model}: is no folder with a model, and no model that comes with unblur for further training (these do: "
            f"{known}); published weights become a folder with `unblur import-weights`"
        )
        raise UnblurError(msg)
    return Path(model)


def save_model(network: nn.Module, model_config: Mapping[str, Any], folder: Path, about: About | None = None) -> str:
    """Write the network's weights and its configuration (`_target_` and arguments) into `folder`.

    Where a network is less than its configuration says, because it was pruned, the shapes of its narrower parameters
    and the names of the blocks that it skips go with it.

    Args:
        network: with the weights; those in 16 bits stay so, and take half of the place.
        model_config: that builds it.
        folder: that they are written into.
        about: what they are called, and their licence.

    Returns:
        The SHA-256 of the weights' file.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with torch.device("meta"):
        whole = {name: tensor.shape for name, tensor in instantiate(model_config).state_dict().items()}
    narrower = {name: list(tensor.shape) for name, tensor in weights.items() if tensor.shape != whole.get(name)}
    skipped = [name for name, module in network.named_modules() if isinstance(module, nn.Identity)]
    skipped = [name for name in skipped if any(key.startswith(f"{name}.") for key in whole)]
    pruned = {"shapes": narrower, "skipped": skipped}
    (folder / LISTING).unlink(missing_ok=True)
    with replacing(folder / WEIGHTS) as unfinished:
        save_file(weights, unfinished)
    content = {"model": dict(model_config), **{key: value for key, value in pruned.items() if value}}
    if about is not None:
        content["about"] = asdict(about)
    with replacing(folder / CONFIG) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    write_listing([folder / WEIGHTS, folder / CONFIG], folder)
    return sha256_file(folder / WEIGHTS)


def read_model_config(folder: Path) -> dict[str, Any]:
    """Return the network's `_target_` and arguments.

    Raises:
        UnblurError: the folder holds no readable config.json.
    """
    return _model_of(_read_config(folder), folder)


def read_about(folder: Path) -> About:
    """Return what the weights in a folder are called, and their licence.

    Raises:
        UnblurError: the folder holds no readable config.json.
    """
    about = _read_config(folder).get("about", {})
    return About(str(about.get("name", "")), str(about.get("licence", "")))


def _model_of(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", config["model"])
    except (KeyError, TypeError) as error:
        msg = f"{folder / CONFIG}: is not a model's configuration; expected JSON with a key 'model'"
        raise UnblurError(msg) from error


def narrow(network: nn.Module, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give parameters other shapes, and tell the layers that they belong to; what they hold is lost.

    Args:
        network: as its configuration builds it.
        shapes: of parameters, by their names.
    """
    for name, shape in shapes.items():
        owner, _, own = name.rpartition(".")
        module = network.get_submodule(owner)
        setattr(module, own, nn.Parameter(torch.empty(*shape)))
        if own != "weight":
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            depthwise = module.groups > 1
            outer, inner = (shape[1], shape[0]) if isinstance(module, nn.ConvTranspose2d) else (shape[0], shape[1])
            module.out_channels, module.in_channels = outer, outer if depthwise else inner
            module.groups = outer if depthwise else 1
        elif isinstance(module, nn.Linear):
            module.out_features, module.in_features = shape


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        msg = f"{folder}: holds no model (no {CONFIG}); train one with `unblur train`"
        raise UnblurError(msg)
    try:
        return cast("dict[str, Any]", json.loads(read_listed(path)[0]))
    except ValueError as error:
        msg = f"{path}: is not a model's configuration; expected JSON with a key 'model'"
        raise UnblurError(msg) from error


def load_model(folder: Path) -> nn.Module:
    """Rebuild the network from `folder` with its weights, in eval mode.

    Raises:
        UnblurError: a file is missing, damaged or not the one that was written, or the weights do not fit the
            configuration.
    """
    return load_hashed(folder)[0]


def load_hashed(folder: Path) -> tuple[nn.Module, str]:
    """Do as `load_model`, and return the SHA-256 of the weights too: of the very bytes that were loaded."""
    config, path = _read_config(folder), folder / WEIGHTS
    network = cast("nn.Module", instantiate(_model_of(config, folder)))
    content, sha256 = read_listed(path)
    try:
        weights = load(content)
        for name in config.get("skipped", []):
            network.set_submodule(name, nn.Identity(), strict=True)
        narrow(network, {name: weights[name].shape for name in config.get("shapes", {})})
        network.load_state_dict(weights)
    except SafetensorError as error:
        msg = f"{path}: is not a safetensors file ({str(error).splitlines()[0]}); train again or fetch it"
        raise UnblurError(msg) from error
    except (KeyError, AttributeError) as error:
        msg = f"{path}: does not fit {CONFIG} beside it: {error} is not there"
        raise UnblurError(msg) from error
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:3])
        msg = f"{path}: does not fit {CONFIG} beside it: {reason}"
        raise UnblurError(msg) from error
    return network.eval(), sha256
