"""The formats that a network can be exported to, by the name that the configuration uses."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from torch import nn

from unblur.config.suggest import nearest
from unblur.errors import UnblurError
from unblur.export.aotinductor import SUFFIX, export_aotinductor
from unblur.export.onnx import export_onnx
from unblur.export.openvino import convert_onnx, export_openvino
from unblur.export.pt2 import export_program
from unblur.networks.folding import fold
from unblur.safety.atomic import replacing
from unblur.safety.hashing import read_listed

Export = Callable[[nn.Module, Path, int], None]

FORMATS: Mapping[str, Export] = MappingProxyType(
    {
        "onnx": export_onnx,
        "openvino": export_openvino,
        "pt2": lambda network, path, opset: export_program(network, path),
        "aotinductor": lambda network, path, opset: export_aotinductor(network, path),
    }
)

SUFFIXES: Mapping[str, str] = MappingProxyType({"openvino": "xml", "aotinductor": SUFFIX.lstrip(".")})
"""Of formats whose files are not called like them."""


def check_formats(names: Iterable[str]) -> None:
    """Raise an UnblurError if one of the names is no format."""
    for name in names:
        if name not in FORMATS:
            msg = f"unknown export format {name!r}{nearest(name, FORMATS)}; known: {', '.join(FORMATS)}"
            raise UnblurError(msg)


def export_model(
    network: nn.Module, names: Sequence[str], folder: Path, opset: int, traced: Path | None = None
) -> list[Path]:
    """Write the folded network (`unblur.networks.folding`) as `folder`/model.SUFFIX in each format; return the paths.

    OpenVINO's files are made of the ONNX file where both are wanted: tracing is what takes long.

    Args:
        network: in eval mode, on the CPU.
        names: of formats.
        folder: of the files.
        opset: version of ONNX's operators.
        traced: an ONNX file of this network at this opset, with a listing beside it; it is copied.

    Raises:
        UnblurError: there is no such format, or the network cannot be exported to it.
    """
    check_formats(names)
    graph = None if traced is None else read_listed(traced)[0]
    folded = fold(network)
    paths = {name: folder / f"model.{SUFFIXES.get(name, name)}" for name in names}
    for name in sorted(names, key=lambda name: name != "onnx"):
        if name == "onnx" and graph is not None:
            with replacing(paths[name]) as unfinished:
                unfinished.write_bytes(graph)
        elif name == "openvino" and (traced is not None or "onnx" in paths):
            convert_onnx(paths["onnx"] if traced is None else traced, paths[name])
        else:
            FORMATS[name](folded, paths[name], opset)
    return list(paths.values())
