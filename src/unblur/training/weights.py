"""A trained model on disk: model.safetensors and the config.json that rebuilds its network. No pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from unblur.config.instantiate import instantiate
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def save_model(network: nn.Module, model_config: Mapping[str, Any], folder: Path) -> str:
    """Write the network's weights and its configuration (`_target_` and arguments) into `folder`.

    Returns:
        The SHA-256 of the weights' file.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(folder / WEIGHTS) as unfinished:
        save_file(weights, unfinished)
    with replacing(folder / CONFIG) as unfinished:
        unfinished.write_text(json.dumps({"model": dict(model_config)}, indent=2) + "\n", encoding="utf-8")
    return sha256_file(folder / WEIGHTS)


def read_model_config(folder: Path) -> dict[str, Any]:
    """Return the network's `_target_` and arguments.

    Raises:
        UnblurError: the folder holds no readable config.json.
    """
    path = folder / CONFIG
    try:
        return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8"))["model"])
    except FileNotFoundError as error:
        msg = f"{folder}: holds no model (no {CONFIG}); train one with `unblur train`"
        raise UnblurError(msg) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path}: is not a model's configuration; expected JSON with a key 'model'"
        raise UnblurError(msg) from error


def load_model(folder: Path) -> nn.Module:
    """Rebuild the network from `folder` with its weights, in eval mode.

    Raises:
        UnblurError: a file is missing or damaged, or the weights do not fit the configuration.
    """
    network = cast("nn.Module", instantiate(read_model_config(folder)))
    path = folder / WEIGHTS
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        msg = f"{path}: is missing or not a safetensors file ({str(error).splitlines()[0]}); train again or fetch it"
        raise UnblurError(msg) from error
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:3])
        msg = f"{path}: does not fit {CONFIG} beside it: {reason}"
        raise UnblurError(msg) from error
    return network.eval()
