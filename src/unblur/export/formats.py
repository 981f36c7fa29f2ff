"""The formats that a network can be exported to, by the name that the configuration uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from torch import nn

from unblur.config.suggest import nearest
from unblur.errors import UnblurError
from unblur.export.onnx import export_onnx
from unblur.export.pt2 import export_program

Export = Callable[[nn.Module, Path, int], None]

FORMATS: Mapping[str, Export] = MappingProxyType(
    {
        "onnx": export_onnx,
        "pt2": lambda network, path, opset: export_program(network, path),
    }
)


def export_model(network: nn.Module, format_name: str, folder: Path, opset: int) -> Path:
    """Write `folder`/model.FORMAT and return its path.

    Raises:
        UnblurError: there is no such format, or the network cannot be exported to it.
    """
    if format_name not in FORMATS:
        msg = f"unknown export format {format_name!r}{nearest(format_name, FORMATS)}; known: {', '.join(FORMATS)}"
        raise UnblurError(msg)
    path = folder / f"model.{format_name}"
    FORMATS[format_name](network, path, opset)
    return path
