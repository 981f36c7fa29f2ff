"""Compiles a network for the processor at hand with AOTInductor: a package of native code, run by PyTorch.

It takes minutes and a C++ compiler, and on CPUs it is slower than OpenVINO; it is there for whoever serves with PyTorch
alone. Not among the formats that are written by default.
"""

import shutil
import warnings
from pathlib import Path

import torch
from torch import nn

from unblur.errors import UnblurError
from unblur.export.pt2 import traced_program
from unblur.safety.atomic import replacing

SUFFIX = ".aoti.pt2"


def export_aotinductor(network: nn.Module, path: Path) -> None:
    """Write a package of native code from (B, 3, H, W), or a burst (B, K, 3, H, W), to (B, 3, H, W) float32 in [0, 1].

    Raises:
        UnblurError: there is no C++ compiler, or the network cannot be traced or compiled.
    """
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        msg = "AOTInductor needs a C++ compiler, and neither g++ nor clang++ is there; take it out of export.formats"
        raise UnblurError(msg)
    program = traced_program(network)
    with replacing(path) as unfinished:
        package = unfinished.with_name(f"{unfinished.name}.pt2")  # PyTorch insists on the ending
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                torch._inductor.aoti_compile_and_package(program, package_path=str(package))
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            msg = f"{type(network).__name__} cannot be compiled: {reason}; take aotinductor out of export.formats"
            raise UnblurError(msg) from error
        package.replace(unfinished)
