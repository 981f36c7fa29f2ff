"""unblur in a program: `unblur.load`, `restore`, `evaluate` and `explain`, the same code as the commands."""

from unblur.library.explained import explain
from unblur.library.files import restore
from unblur.library.measured import Evaluation, evaluate
from unblur.library.model import Model, load

__all__ = ["Evaluation", "Model", "evaluate", "explain", "load", "restore"]
