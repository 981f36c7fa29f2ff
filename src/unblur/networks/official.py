"""Checkpoints of the official NAFNet, Restormer and ESTRNN: read safely, recognised, and loaded into our networks."""

import math
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.estrnn import ESTRNN
from unblur.networks.nafnet import NAFNet
from unblur.networks.restormer import Restormer

State = Mapping[str, Tensor]

_WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net", "generator")
_PREFIXES = re.compile(r"^(module\.|model\.|net\.|network\.|generator\.)+")
_NAMED = 3


class Official(NamedTuple):
    """A checkpoint understood: the network's family, its constructor's arguments, and its tensors by our names."""

    network: Callable[..., nn.Module]
    arguments: dict[str, Any]
    state: dict[str, Tensor]

    def config(self) -> dict[str, Any]:
        """Return what Hydra builds the network from."""
        name = f"{self.network.__module__}.{self.network.__qualname__}"
        return {"_target_": name, **self.arguments}


def load_official(path: Path | str, *, raw: bool = False) -> nn.Module:
    """Return the network of an official checkpoint, in eval mode; RGB in [0, 1] in and out.

    Args:
        path: the .pth file. Weights wrapped in `params`, `state_dict` and the like are found, and prefixes such as
            `module.` taken off; of averaged and plain weights the averaged are taken.
        raw: leave out what surrounds the official network: ESTRNN's frames are then in [-0.5, 0.5].

    Raises:
        UnblurError: the file cannot be read, is of no known family, or has missing or misshapen tensors.
    """
    official = read_official(path, raw=raw)
    network = official.network(**official.arguments)
    network.load_state_dict(official.state)
    return network.eval()


def read_official(path: Path | str, *, raw: bool = False) -> Official:
    """Return what the checkpoint holds; its tensors fit the network that the arguments build."""
    path = Path(path)
    state = _unwrapped(_read(path), path)
    for family in (_nafnet, _restormer, _estrnn):
        try:
            official = family(state, raw)
        except KeyError as error:
            msg = (
                f"{path}: lacks the tensor {error.args[0]}, from which the network's shape is read; get the file again"
            )
            raise UnblurError(msg) from error
        if official is not None:
            _check(official, path)
            return official
    msg = f"{path}: is of no family known here; expected a checkpoint of the official NAFNet, Restormer or ESTRNN"
    raise UnblurError(msg)


def _read(path: Path) -> Any:  # noqa: ANN401
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        msg = f"{path}: no such file"
        raise UnblurError(msg) from error
    except pickle.UnpicklingError as error:
        msg = f"{path}: holds more than tensors, or is damaged, and is not opened; expected a file of weights alone"
        raise UnblurError(msg) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        msg = f"{path}: cannot be read as a PyTorch checkpoint; get it again"
        raise UnblurError(msg) from error


def _unwrapped(found: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401
    while isinstance(found, Mapping) and (inner := next((name for name in _WRAPPERS if name in found), None)):
        if not isinstance(found[inner], Mapping):
            break
        found = found[inner]
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        msg = f"{path}: holds no named tensors; expected the weights of a network"
        raise UnblurError(msg)
    return {_PREFIXES.sub("", str(name)): value for name, value in found.items() if isinstance(value, Tensor)}


def _check(official: Official, path: Path) -> None:
    with torch.device("meta"):
        expected = official.network(**official.arguments).state_dict()
    missing = [name for name in expected if name not in official.state]
    surplus = [name for name in official.state if name not in expected]
    misshapen = [
        f"{name} {tuple(official.state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in official.state and official.state[name].shape != tensor.shape
    ]
    faults = {"missing": missing, "misshapen": misshapen, "unknown": surplus}
    told = [f"{len(names)} {fault} ({_list(names)})" for fault, names in faults.items() if names]
    if told:
        family = getattr(official.network, "__name__", "network")
        msg = f"{path}: is no whole {family}; its tensors: {'; '.join(told)}. Get the file again."
        raise UnblurError(msg)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _count(state: State, pattern: str) -> int:
    """Return one more than the largest number that the pattern finds at the start of a name; 0 if it finds none."""
    found = (re.match(pattern, name) for name in state)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _nafnet(state: State, raw: bool) -> Official | None:
    if not any(name.startswith("middle_blks.") for name in state):
        return None
    levels = _count(state, r"downs\.(\d+)\.")  # a level may have no blocks
    arguments = {
        "in_channels": state["intro.weight"].shape[1],
        "out_channels": state["ending.weight"].shape[0],
        "width": state["intro.weight"].shape[0],
        "encoder_blocks": [_count(state, rf"encoders\.{i}\.(\d+)\.") for i in range(levels)],
        "middle_blocks": _count(state, r"middle_blks\.(\d+)\."),
        "decoder_blocks": [_count(state, rf"decoders\.{i}\.(\d+)\.") for i in range(levels)],
    }
    return Official(NAFNet, arguments, dict(state))


def _restormer(state: State, raw: bool) -> Official | None:
    if not any(name.startswith("encoder_level1.") for name in state):
        return None
    levels = _count(state, r"encoder_level(\d+)\.")  # one for each, and the latent
    stages = [f"encoder_level{i}" for i in range(1, levels)] + ["latent"]
    arguments = {
        "width": state["patch_embed.proj.weight"].shape[0],
        "blocks": [_count(state, rf"{stage}\.(\d+)\.") for stage in stages],
        "refinement_blocks": _count(state, r"refinement\.(\d+)\."),
        "heads": [state[f"{stage}.0.attn.temperature"].shape[0] for stage in stages],
        "expansion": _expansion(state),
        "norm_bias": any(name.endswith(".norm1.body.bias") for name in state),
    }
    return Official(Restormer, arguments, {_restormer_name(name, levels): value for name, value in state.items()})


def _restormer_name(name: str, levels: int) -> str:
    """Return our name of an official tensor."""
    name = re.sub(r"\.(norm\d)\.body\.", r".\1.", name).replace("patch_embed.proj.", "intro.")
    name = re.sub(r"^encoder_level(\d+)\.", lambda m: f"encoders.{int(m[1]) - 1}.", name)
    name = re.sub(r"^down(\d+)_\d+\.body\.", lambda m: f"downs.{int(m[1]) - 1}.", name)
    for official, ours in ((r"up\d+_(\d+)\.body", "ups"), (r"reduce_chan_level(\d+)", "reduces"),
                           (r"decoder_level(\d+)", "decoders")):  # fmt: skip
        name = re.sub(rf"^{official}\.", lambda m, ours=ours: f"{ours}.{levels - 1 - int(m[1])}.", name)  # type: ignore[misc]
    return name


def _expansion(state: State) -> float:
    """Return the shortest decimal that gives the hidden channels of every feed-forward: int(channels * expansion)."""
    shapes = [value.shape for name, value in state.items() if name.endswith("ffn.project_in.weight")]
    low = max(rows // 2 / columns for rows, columns, *_ in shapes)
    high = min((rows // 2 + 1) / columns for rows, columns, *_ in shapes)
    for digits in range(1, 9):
        guess = math.ceil(low * 10**digits - 1e-9) / 10**digits
        if guess < high and all(int(columns * guess) == rows // 2 for rows, columns, *_ in shapes):
            return float(guess)
    return float(low)


def _estrnn(state: State, raw: bool) -> Official | None:
    if not any(name.startswith("cell.F_") for name in state):
        return None
    width = state["cell.F_B0.weight"].shape[0]
    frames = state["fusion.fusion.weight"].shape[0] // (5 * width)
    arguments = {
        "width": width,
        "blocks": _count(state, r"cell\.F_R\.RDBs\.(\d+)\."),
        "past": (frames - 1) // 2,
        "future": (frames - 1) // 2,
        "centred": not raw,
    }
    return Official(ESTRNN, arguments, dict(state))
