"""How the official NAFNet, Restormer and ESTRNN name their tensors, and what the shapes say about a network.

A shape that several tensors tell is taken from most of them, so that one that is missing or misshapen can be named.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.networks.estrnn import ESTRNN
from unblur.networks.nafnet import NAFNet
from unblur.networks.restormer import Restormer

State = Mapping[str, Tensor]


class Family(NamedTuple):
    """A kind of network: how its checkpoints are known, what their shapes say, and their names of our tensors."""

    network: Callable[..., nn.Module]
    anchor: re.Pattern[str]
    """Begins the names of some of its tensors, and of no other family's."""
    arguments: Callable[[State], dict[str, Any]]
    official_name: Callable[[str, Mapping[str, Any]], str]
    """Gives the published name of one of our tensors, by our name and the arguments."""


def recognise(state: State) -> Family | None:
    """Return the family that most tensors belong to by their names, or None."""
    found = {family: sum(bool(family.anchor.match(name)) for name in state) for family in FAMILIES}
    best = max(FAMILIES, key=lambda family: found[family])
    return best if found[best] else None


def _nafnet(state: State) -> dict[str, Any]:
    levels = max(_count(state, rf"{part}\.(\d+)\.") for part in ("downs", "ups", "encoders", "decoders"))
    encoders, decoders = (
        [_count(state, rf"{part}\.{i}\.(\d+)\.") for i in range(levels)] for part in ("encoders", "decoders")
    )
    width = _size(state, r"intro\.(weight|bias)", r"encoders\.0\.\d+\.(norm1\.weight|conv1\.weight@1|conv3\.weight)")
    given, wanted = _size(state, r"intro\.weight@1", default=3), _size(state, r"ending\.(bias|weight)", default=3)
    return {
        "in_channels": max(given, wanted),
        "out_channels": wanted,
        "width": width,
        # A level may have no blocks; where none has any, they are missing.
        "encoder_blocks": encoders if any(encoders) else [1] * levels,
        "middle_blocks": _count(state, r"middle_blks\.(\d+)\."),
        "decoder_blocks": decoders if any(decoders) else [1] * levels,
    }


def _restormer(state: State) -> dict[str, Any]:
    views = _size(state, r"patch_embed\.proj\.weight@1", default=3)
    if views != 3 and "skip_conv.weight" in state:
        msg = f"is a Restormer for dual pixels, with {views} channels in; expected one for photographs, with 3"
        raise UnblurError(msg)
    levels = max(_count(state, r"down(\d+)_"), _count(state, r"encoder_level(\d+)\."))
    stages = [f"encoder_level{i}" for i in range(1, levels)] + ["latent"]
    width = _size(state, r"patch_embed\.proj\.weight", r"encoder_level1\.\d+\.norm\d\.body\.weight")
    heads = [
        _size(state, rf"(encoder_level{i + 1}|{stage}|decoder_level{i + 1})\.\d+\.attn\.temperature", default=1)
        for i, stage in enumerate(stages)
    ]
    blocks = [_count(state, rf"(?:{stage}|decoder_level{i})\.(\d+)\.") for i, stage in enumerate(stages, 1)]
    return {
        "width": width,
        "blocks": [*blocks[:-1], blocks[-1] or 1],
        "refinement_blocks": _count(state, r"refinement\.(\d+)\."),
        "heads": [count if width * 2**i % count == 0 else 1 for i, count in enumerate(heads)],
        "expansion": _expansion(state),
        "norm_bias": any(re.search(r"\.norm\d\.body\.bias$", name) for name in state),
        "bias": any(re.search(r"\.(qkv|qkv_dwconv|project_out|project_in|dwconv)\.bias$", name) for name in state),
    }


def _official_restormer(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the official name of one of our Restormer's tensors."""
    levels = len(arguments["blocks"])
    name = re.sub(r"\.(norm\d)\.", r".\1.body.", name)
    name = re.sub(r"^intro\.", "patch_embed.proj.", name)
    name = re.sub(r"^encoders\.(\d+)", lambda m: f"encoder_level{int(m[1]) + 1}", name)
    name = re.sub(r"^downs\.(\d+)\.", lambda m: f"down{int(m[1]) + 1}_{int(m[1]) + 2}.body.", name)
    name = re.sub(r"^ups\.(\d+)\.", lambda m: f"up{levels - int(m[1])}_{levels - 1 - int(m[1])}.body.", name)
    name = re.sub(r"^reduces\.(\d+)", lambda m: f"reduce_chan_level{levels - 1 - int(m[1])}", name)
    return re.sub(r"^decoders\.(\d+)", lambda m: f"decoder_level{levels - 1 - int(m[1])}", name)


def _expansion(state: State) -> float:
    """Return the shortest decimal that gives the hidden channels of most feed-forwards: int(channels * expansion)."""
    of = re.compile(r".*\.ffn\.project_in\.weight")
    shapes = [tuple(tensor.shape) for name, tensor in state.items() if of.fullmatch(name) and tensor.ndim == 4]
    shapes = [shape for shape in shapes if shape[0] > 1 and shape[1]]
    spans = [(rows // 2 / columns, (rows // 2 + 1) / columns) for rows, columns, *_ in shapes]
    if not spans:
        return 2.66
    low = max((low for low, _ in spans), key=lambda at: sum(a <= at < b for a, b in spans))
    high = min(b for a, b in spans if a <= low < b)
    for digits in range(1, 9):
        guess = math.ceil(low * 10**digits - 1e-9) / 10**digits
        agree = all(int(columns * guess) == int(columns * low + 1e-9) for _, columns, *_ in shapes)
        if guess < high and agree:
            return float(guess)
    return float(low)


def _estrnn(state: State) -> dict[str, Any]:
    width = _size(state, r"cell\.F_B0\.(weight|bias)", r"recons\.model\.1\.(weight@1|bias)", r"cell\.F_h\.2\.bias")
    joined = _size(state, r"fusion\.fusion\.(weight|bias)", r"recons\.model\.0\.weight", default=25 * width)
    frames = max(1, joined // (5 * width))
    # Only the sum is told: the paper's networks see as many frames before as after.
    past = frames // 2
    return {
        "width": width,
        "blocks": _count(state, r"cell\.F_R\.RDBs\.(\d+)\."),
        "past": past,
        "future": frames - 1 - past,
    }


def _count(state: State, pattern: str) -> int:
    """Return one more than the largest number that the pattern finds at the start of a name; 0 if it finds none."""
    found = (re.match(pattern, name) for name in state)
    return min(max((int(match[1]) + 1 for match in found if match), default=0), len(state))


def _size(state: State, *patterns: str, default: int | None = None) -> int:
    """Return the size that most tensors of these names have; of their axis 0, or 1 of those marked @1.

    Raises:
        UnblurError: no such tensor, and no default.
    """
    sizes: Counter[int] = Counter()
    for name, tensor in state.items():
        for axis, marked in enumerate((name, f"{name}@1")):
            fits = tensor.ndim == _axes(name) > axis and tensor.shape[axis]
            if fits and any(re.fullmatch(each, marked) for each in patterns):
                sizes[tensor.shape[axis]] += 1
    if sizes:
        return sizes.most_common(1)[0][0]
    if default is None:
        plain = re.sub(r"\\|@1|\(|\|.*", "", patterns[0])
        msg = f"is no whole checkpoint: {plain} and all other tensors that tell the network's width are missing"
        raise UnblurError(msg)
    return default


def _axes(name: str) -> int:
    """Return how many axes a tensor of this name has, where it is not misshapen."""
    if name.endswith("temperature"):
        return 3
    return 1 if name.endswith("bias") or "norm" in name else 4


def _same(name: str, arguments: Mapping[str, Any]) -> str:
    return name


FAMILIES = (
    Family(NAFNet, re.compile(r"(intro|ending|encoders|decoders|middle_blks|downs|ups)\."), _nafnet, _same),
    Family(
        Restormer,
        re.compile(r"(patch_embed|(en|de)coder_level\d|down\d_\d|up\d_\d|reduce_chan_level\d|refinement|latent)\."),
        _restormer,
        _official_restormer,
    ),
    Family(ESTRNN, re.compile(r"(cell\.F_|recons\.|fusion\.)"), _estrnn, _same),
)
