"""unblur trains, compresses, ships and serves models that take blur out of photographs, bursts and video.

In a program: `unblur.load`, `restore`, `evaluate` and `explain` (docs/python.md). They are imported when they are first
asked for, so that `import unblur` alone takes no time.
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unblur.errors import UnblurError
    from unblur.library import Evaluation, Model, evaluate, explain, load, restore

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # or ONNX Runtime tells Microsoft, and keeps an id of the machine

__version__ = "0.1.0"
__all__ = ["Evaluation", "Model", "UnblurError", "__version__", "evaluate", "explain", "load", "restore"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    room = "errors" if name == "UnblurError" else "library"
    return getattr(importlib.import_module(f"{__name__}.{room}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
