"""The formats that a network can be exported to, by the name that the configuration uses."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from torch import nn

from unblur.config.suggest import nearest
from unblur.errors import UnblurError
from unblur.export.aotinductor import SUFFIX, export_aotinductor
from unblur.export.onnx import export_onnx
from unblur.export.openvino import export_openvino
from unblur.export.pt2 import export_program
from unblur.networks.folding import fold

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


def export_model(network: nn.Module, format_name: str, folder: Path, opset: int) -> Path:
    """Write the folded network (`unblur.networks.folding`) as `folder`/model.SUFFIX and return its path.

    Raises:
        UnblurError: there is no such format, or the network cannot be exported to it.
    """
    check_formats([format_name])
    path = folder / f"model.{SUFFIXES.get(format_name, format_name)}"
    FORMATS[format_name](fold(network), path, opset)
    return path
